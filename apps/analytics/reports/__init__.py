"""Tear sheets: one performance as HTML, PDF, CSV and JSON.

`sheet` gathers the figures into one JSON value, which every format is made from; `page` puts them into words for the
two formats that are read (`html`, `pdf`), with the drawings of `charts`; `keep` is the task and what it keeps.
"""
