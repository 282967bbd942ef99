"""Tables of runs, settings and programs."""

from reseed.contracts.digests import document_digest
from reseed.contracts.seeds import SeedStream
from reseed.reporting.run_tables import held_streams, program_rows, setting_rows, varied_streams
from reseed.reporting.study_records import StudyRecords
from tests.reporting.studies import run_record


def records(*runs):
    """Records without scores."""
    return StudyRecords(records=runs, n_missing=0, n_other=0, scores={})


def test_a_setting_that_one_method_lacks_is_a_dash():
    """
    Methods of two algorithms show the settings of both, and what one lacks differs.
    """
    rows = setting_rows(
        records(
            run_record("a", 0, 0, settings={"epochs": 10, "augment": True}),
            run_record("b", 0, 1, settings={"epochs": 10}),
        )
    )

    assert [(row.name, row.values, row.differs) for row in rows] == [
        ("augment", ("true", "–"), True),
        ("epochs", ("10", "10"), False),
    ]


def test_runs_of_two_programs_show_both():
    """
    When a method's runs were made by two versions of a program, both digests are told.
    """
    first = run_record("a", 0, 0)
    other = document_digest(["other program"])
    second = run_record("a", 1, 1, program=first.program.model_copy(update={"digest": other}))

    row = next(row for row in program_rows(records(first, second)) if row.name == "program digest")

    assert row.values == (f"{first.program.digest}, {other}",)


def test_uncommitted_changes_are_told():
    """
    A commit alone does not say what ran when files had been changed since.
    """
    run = run_record("a", 0, 0)
    program = run.program.model_copy(update={"git_is_clean": False})

    row = next(
        row
        for row in program_rows(records(run_record("a", 0, 0, program=program)))
        if row.name == "git commit"
    )

    assert row.values == (f"{program.git_commit} with uncommitted changes",)


def test_held_streams_name_members_only_where_they_differ():
    """
    A split that all members share is one number; weights that differ by member are told for each.
    """
    run = run_record("a", 0, 0, n_members=2, vary=(SeedStream.ORDER,))
    weights = [member.seeds.weights for member in run.members]

    held = held_streams(records(run))

    assert varied_streams(records(run)) == (SeedStream.ORDER,)
    assert "split 77" in held
    assert f"weights {weights[0]} (member 0) and {weights[1]} (member 1)" in held
