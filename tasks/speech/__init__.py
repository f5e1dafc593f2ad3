"""Speech: from sound to phones, characters or words (Chorowski 2015)."""
