"""``featureconvex gallery``: pictures in two dimensions."""

from featureconvex.cli.options import AsJson, Out, Quiet
from featureconvex.feedback import feedback


def gallery(out: Out, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Draw decision regions and certificates in two dimensions."""
    from featureconvex.theory.gallery import gallery as draw

    with feedback(quiet, as_json) as say:
        pictures = [str(path) for path in draw(out)]
        say(lambda: pictures, [f"pictures: {out}"], lambda: {"pictures": pictures})
