"""Level 3: radii that hold with every rounding error accounted for."""

from featureconvex.certificates.levels.sound.level import sound
from featureconvex.certificates.levels.sound.line import ARITHMETICS, SoundLine, sound_line

__all__ = ["ARITHMETICS", "SoundLine", "sound", "sound_line"]
