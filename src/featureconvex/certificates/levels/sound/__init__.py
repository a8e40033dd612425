"""Level 3: radii that hold with every rounding error accounted for."""

from featureconvex.certificates.levels.sound.level import Sound
from featureconvex.certificates.levels.sound.line import ARITHMETICS, SoundLine, sound_line

__all__ = ["ARITHMETICS", "Sound", "SoundLine", "sound_line"]
