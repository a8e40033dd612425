"""How the scattering transform rounds, and proved bounds on how steep it is."""
