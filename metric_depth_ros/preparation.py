"""Images as the network and the solver get them: rectified and resized, and their label images alike."""

from __future__ import annotations

import cv2

from metric_depth_ros.config import Config
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import Rectifier, resize_camera
from metric_depth_ros.label_images import resize_labels
from metric_depth_ros.messages import check_image_size
from metric_depth_ros.regions.merging import few_enough
from metric_depth_ros.types import Camera, ImageArray, IntArray, Rectification, Sample


class Preparation:
    """Prepares the images of one camera; keeps the maps that rectify them."""

    def __init__(self, config: Config, before: Preparation | None = None) -> None:
        """``before``: with other settings, whose maps are kept."""
        self._config = config
        self._rectifier: Rectifier | None = None if before is None else before._rectifier

    def image(self, sample: Sample) -> tuple[ImageArray, Camera]:
        """Image and camera, rectified and resized as configured.

        Raises InputError if the image is not of its camera's size.
        """
        image, camera = sample.image, sample.camera
        check_image_size((image.shape[1], image.shape[0]), camera)
        if self._config.input.rectifies:
            rectifier = self._rectifier_for(camera, sample.rectification)
            if rectifier.changes:
                image, camera = rectifier.rectify(image), rectifier.rectified
        scale = self._config.output.scale
        if scale != 1:
            width, height = max(1, round(camera.width * scale)), max(1, round(camera.height * scale))
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            camera = resize_camera(camera, width, height)
        return image, camera

    def labels(self, sample: Sample, image: ImageArray) -> IntArray:
        """Labels (H, W) from the sample, aligned with its prepared image.

        Raises InputError if they are missing, or their aspect ratio differs from the image's.
        """
        camera, labels = sample.camera, sample.regions
        if labels is None:
            raise InputError("regions: no label image came with the image. Publish one, or remap regions.")
        height, width = labels.shape
        if abs(width * camera.height - height * camera.width) > max(camera.width, camera.height):
            raise InputError(
                f"regions: {width}x{height} labels for an image of {camera.width}x{camera.height}; needed "
                "the same proportions. Publish the labels of the whole image."
            )
        labels = resize_labels(labels, camera.width, camera.height)
        if self._config.input.rectifies:
            rectifier = self._rectifier_for(camera, sample.rectification)
            labels = rectifier.rectify_labels(labels) if rectifier.changes else labels
        labels = resize_labels(labels, image.shape[1], image.shape[0])
        return few_enough(labels, image, self._config.regions.min_area)

    def _rectifier_for(self, camera: Camera, wanted: Rectification | None) -> Rectifier:
        if self._rectifier is None or not self._rectifier.fits(camera, wanted):
            self._rectifier = Rectifier(camera, wanted)
        return self._rectifier
