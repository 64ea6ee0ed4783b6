//! Standard problems and closed forms: the program against the world
