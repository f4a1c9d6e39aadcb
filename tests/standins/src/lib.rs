//! Far sides for tests of linedown.
