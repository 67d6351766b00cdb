"""Catalog: where every object is and when it was last proven, and when a study is complete."""
