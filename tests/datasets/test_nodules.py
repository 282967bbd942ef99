"""Annotations to nodules, patients to sides."""

from __future__ import annotations

import numpy as np

from reseed.datasets.lidc.database import Annotation, Outline, Scan
from reseed.datasets.lidc.nodules import Nodule, clustered_annotations, kept_nodules, test_patients

held_out_patients = test_patients
del test_patients  # pytest would take it for a test


def annotation(annotation_id, *, x_mm, malignancy=5):
    points = np.array([(x_mm - 1, 9), (x_mm + 1, 9), (x_mm + 1, 11), (x_mm - 1, 11)])
    return Annotation(annotation_id, malignancy, (Outline(0.0, True, points),))


def scan(*annotations, patient="LIDC-IDRI-0001", scan_id=1):
    return Scan(scan_id, patient, 1.0, np.array([-1.0, 0.0, 1.0]), annotations)


def ids(lesions):
    return [[each.annotation_id for each in lesion] for lesion in lesions]


class TestClusteredAnnotations:
    def test_eight_millimetres(self):
        """
        Centroids up to 8 mm apart are one lesion, further apart they are two.
        """
        assert ids(clustered_annotations(scan(annotation(1, x_mm=0), annotation(2, x_mm=8)))) == [[1, 2]]
        assert ids(clustered_annotations(scan(annotation(1, x_mm=0), annotation(2, x_mm=9)))) == [[1], [2]]

    def test_nearest_lesion(self):
        """
        An annotation within 8 mm of two lesions joins the nearer one.
        """
        lesions = clustered_annotations(
            scan(annotation(1, x_mm=0), annotation(2, x_mm=10), annotation(3, x_mm=6))
        )

        assert ids(lesions) == [[1], [2, 3]]

    def test_exclusions_do_not_move_a_nodule(self):
        """
        The centroid is that of the inclusion contours.
        """
        hole = Outline(0.0, False, np.array([(500, 500), (501, 500), (501, 501)]))
        plain = annotation(1, x_mm=20)

        assert Annotation(1, 5, (*plain.outlines, hole)).centroid_mm(1.0) == plain.centroid_mm(1.0)


class TestKeptNodules:
    def test_one_reader_is_not_enough(self):
        """
        A nodule that one reader drew is left out.
        """
        assert kept_nodules([scan(annotation(1, x_mm=0))]) == []

    def test_undecided_is_left_out(self):
        """
        Means of 3 and 3⅓ are undecided; 2.5 and 3.5 are not.
        """

        def kept(*opinions):
            readers = [annotation(i, x_mm=0, malignancy=m) for i, m in enumerate(opinions)]
            return [(nodule.malignancy, nodule.label) for nodule in kept_nodules([scan(*readers)])]

        assert kept(3, 3) == []
        assert kept(1, 5) == []
        assert kept(3, 3, 4) == []
        assert kept(2, 3) == [(2.5, 0)]
        assert kept(3, 4) == [(3.5, 1)]

    def test_cases_count_over_the_scans_of_a_patient(self):
        """
        Two nodules of one patient in two scans have different names.
        """
        nodules = kept_nodules(
            [
                scan(annotation(1, x_mm=0), annotation(2, x_mm=1), scan_id=1),
                scan(annotation(3, x_mm=0), annotation(4, x_mm=1), scan_id=2),
            ]
        )

        assert [nodule.case for nodule in nodules] == ["lidc-idri-0001-1", "lidc-idri-0001-2"]


class TestTestPatients:
    def test_one_in_three_with_the_same_mixture(self):
        """
        Of 30 patients with one benign and 30 with one malignant nodule, 10 each are held out,
        whatever the order in which they come.
        """
        nodules = [
            Nodule(f"p{i}-1", scan(patient=f"P{i}"), (annotation(1, x_mm=0, malignancy=5 if i < 30 else 1),))
            for i in range(60)
        ]

        held_out = held_out_patients(nodules)

        assert sum(int(patient[1:]) < 30 for patient in held_out) == 10
        assert len(held_out) == 20
        assert held_out_patients(nodules[::-1]) == held_out
