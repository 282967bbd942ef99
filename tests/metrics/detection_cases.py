"""Small random cases for the tests of detection metrics."""

import numpy as np


def random_detection_case(rng, shape=(10, 24, 24)):
    """Lesions and a detection map of boxes: good and bad hits, several to a lesion, false positives, ties."""
    lesions = np.zeros(shape, dtype=np.int32)
    boxes = [random_box(rng, shape) for _ in range(rng.integers(0, 4))]
    for box in boxes:
        lesions[box] = 1
    detection_map = np.zeros(shape, dtype=np.float32)
    for _ in range(rng.integers(0, 7)):
        near = boxes and rng.random() < 0.7
        box = shifted(rng, boxes[rng.integers(len(boxes))]) if near else random_box(rng, shape)
        grown = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        if not detection_map[grown].any():  # candidates must not touch
            detection_map[box] = rng.choice([0.2, 0.5, 0.8]) if rng.random() < 0.5 else rng.random()
    return lesions, detection_map


def random_box(rng, shape):
    """A box of a few voxels."""
    low = [int(rng.integers(0, size - 2)) for size in shape]
    return tuple(slice(start, start + int(rng.integers(2, 8))) for start in low)


def shifted(rng, box):
    """Part of a box, moved a little: what an algorithm makes of a lesion."""
    sides = []
    for side in box:
        start = max(side.start + int(rng.integers(-2, 3)), 0)
        sides.append(slice(start, start + max((side.stop - side.start) // int(rng.integers(1, 3)), 1)))
    return tuple(sides)
