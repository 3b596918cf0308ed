"""The grey windows by which CT is read: names that radiologists know."""

# (width, level) in Hounsfield units.
CT_WINDOWS = {
    "brain": (80, 40),
    "subdural": (215, 75),
    "bone": (1800, 400),
    "lung": (1500, -600),
    "abdomen": (400, 50),
    "liver": (150, 30),
}
