"""The site of these pages (`make docs`): Sphinx reads Markdown through MyST."""

project = "attention-bench"
author = "The attention-bench authors"
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
# A fence with a language and a file name is a file that tests write down.
myst_heading_anchors = 3
root_doc = "index"
exclude_patterns = ["images", "notebooks", "results_notes.md"]
html_theme = "furo"
html_title = "attention-bench"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# Pages open from the file system, without any network.
html_use_index = False
suppress_warnings = ["misc.highlighting_failure"]
