"""Where the captioning data sets are got from."""

from __future__ import annotations

from tasks.data.archives import Distribution, Piece

# Its authors hand the photos out on request; this copy is the one that is widely used. Its
# checksums are MD5.
_RELEASE = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"

FLICKR8K = Distribution(
    name="flickr8k",
    source="the archives of its authors, as kept at github.com/jbrownlee/Datasets",
    pieces=(
        Piece(
            f"{_RELEASE}/Flickr8k_text.zip",
            {
                name: f"flickr8k/{name}"
                for name in (
                    "Flickr8k.token.txt",
                    "Flickr_8k.trainImages.txt",
                    "Flickr_8k.devImages.txt",
                    "Flickr_8k.testImages.txt",
                )
            },
            "zip",
            md5="bf6c1abcb8e4a833b7f922104de18627",
        ),
        Piece(
            f"{_RELEASE}/Flickr8k_Dataset.zip",
            {"Flicker8k_Dataset/": "flickr8k/Flicker8k_Dataset"},
            "zip",
            md5="f18a1e2920de5bd84dae7cf08ec78978",
        ),
    ),
)
