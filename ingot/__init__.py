"""The library of Ingot: what the steps in workflow_scripts/ are made of. Its parts import downwards only."""
