"""
Who may do what: the one table that every route asks.

A person stands in one or several ways towards what a request is about: anyone, a user who has
logged in, a viewer, participant or organiser of the challenge, the owner of the thing. A rule names
the standings that may, and the scope that a token needs. An administrator may do everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """How the person who asks stands towards what the request is about."""

    ANYONE = "anyone"
    USER = "user"
    VIEWER = "viewer"
    PARTICIPANT = "participant"
    ORGANISER = "organiser"
    OWNER = "owner"
    ADMINISTRATOR = "administrator"


class Scope(StrEnum):
    """What a token may be used for."""

    READ = "read"
    SUBMIT = "submit"
    ORGANISE = "organise"
    EVALUATE = "evaluate"
    ACCOUNT = "account"


class Action(StrEnum):
    """Something that a person can ask for."""

    VIEW_PUBLIC_CHALLENGE = "view public challenge"
    VIEW_PRIVATE_CHALLENGE = "view private challenge"
    EDIT_CHALLENGE = "edit challenge"
    JOIN_CHALLENGE = "join challenge"
    VIEW_PARTICIPANTS = "view participants"
    MANAGE_PARTICIPANTS = "manage participants"
    VIEW_TEAMS = "view teams"
    CREATE_TEAM = "create team"
    EDIT_TEAM = "edit team"
    JOIN_TEAM = "join or leave team"
    VIEW_RELEASED_LEADERBOARD = "view released leaderboard"
    VIEW_LEADERBOARD_OF_PRIVATE_CHALLENGE = "view released leaderboard of a private challenge"
    VIEW_UNRELEASED_LEADERBOARD = "view unreleased leaderboard"
    CREATE_ALGORITHM = "create algorithm"
    VIEW_ALGORITHM = "view algorithm"
    EDIT_ALGORITHM = "edit algorithm"
    UPLOAD = "upload"
    VIEW_UPLOAD = "view upload"
    CREATE_SUBMISSION = "create submission"
    VIEW_SUBMISSION = "view submission"
    CANCEL_SUBMISSION = "cancel submission"
    VIEW_EVALUATION = "view evaluation"
    VIEW_RELEASED_METRICS = "view released metrics"
    VIEW_UNRELEASED_METRICS = "view unreleased metrics"
    VIEW_CASE_RESULTS = "view case results"
    VIEW_ALL_LOGS = "view all logs"
    VIEW_OWN_LOGS = "view own logs"
    EVALUATE_EXTERNALLY = "evaluate externally"
    MANAGE_OWN_ACCOUNT = "manage own account"


@dataclass(frozen=True)
class Rule:
    """Who may, and with which scope of a token."""

    standings: frozenset[Standing]
    scope: Scope


def _rule(scope: Scope, *standings: Standing) -> Rule:
    return Rule(frozenset({*standings, Standing.ADMINISTRATOR}), scope)


_MEMBERS = (Standing.VIEWER, Standing.PARTICIPANT, Standing.ORGANISER)

RULES: dict[Action, Rule] = {
    Action.VIEW_PUBLIC_CHALLENGE: _rule(Scope.READ, Standing.ANYONE),
    Action.VIEW_PRIVATE_CHALLENGE: _rule(Scope.READ, *_MEMBERS),
    Action.EDIT_CHALLENGE: _rule(Scope.ORGANISE, Standing.ORGANISER),
    Action.JOIN_CHALLENGE: _rule(Scope.SUBMIT, Standing.USER),
    Action.VIEW_PARTICIPANTS: _rule(Scope.READ, Standing.ORGANISER),
    Action.MANAGE_PARTICIPANTS: _rule(Scope.ORGANISE, Standing.ORGANISER),
    Action.VIEW_TEAMS: _rule(Scope.READ, *_MEMBERS),
    Action.CREATE_TEAM: _rule(Scope.SUBMIT, Standing.PARTICIPANT),
    Action.EDIT_TEAM: _rule(Scope.SUBMIT, Standing.OWNER, Standing.ORGANISER),
    Action.JOIN_TEAM: _rule(Scope.SUBMIT, *_MEMBERS),
    Action.VIEW_RELEASED_LEADERBOARD: _rule(Scope.READ, Standing.ANYONE),
    Action.VIEW_LEADERBOARD_OF_PRIVATE_CHALLENGE: _rule(Scope.READ, *_MEMBERS),
    Action.VIEW_UNRELEASED_LEADERBOARD: _rule(Scope.READ, Standing.ORGANISER),
    Action.CREATE_ALGORITHM: _rule(Scope.SUBMIT, Standing.USER),
    Action.VIEW_ALGORITHM: _rule(Scope.READ, Standing.OWNER),
    Action.EDIT_ALGORITHM: _rule(Scope.SUBMIT, Standing.OWNER),
    Action.UPLOAD: _rule(Scope.SUBMIT, Standing.USER),
    Action.VIEW_UPLOAD: _rule(Scope.SUBMIT, Standing.OWNER),
    Action.CREATE_SUBMISSION: _rule(Scope.SUBMIT, Standing.PARTICIPANT, Standing.ORGANISER),
    Action.VIEW_SUBMISSION: _rule(Scope.READ, Standing.OWNER, Standing.ORGANISER),
    Action.CANCEL_SUBMISSION: _rule(Scope.SUBMIT, Standing.OWNER, Standing.ORGANISER),
    Action.VIEW_EVALUATION: _rule(Scope.READ, Standing.OWNER, Standing.ORGANISER),
    Action.VIEW_RELEASED_METRICS: _rule(Scope.READ, Standing.OWNER, Standing.ORGANISER),
    Action.VIEW_UNRELEASED_METRICS: _rule(Scope.READ, Standing.ORGANISER),
    Action.VIEW_CASE_RESULTS: _rule(Scope.READ, Standing.ORGANISER),
    Action.VIEW_ALL_LOGS: _rule(Scope.READ, Standing.ORGANISER),
    Action.VIEW_OWN_LOGS: _rule(Scope.READ, Standing.OWNER, Standing.ORGANISER),
    Action.EVALUATE_EXTERNALLY: _rule(Scope.EVALUATE, Standing.ORGANISER),
    Action.MANAGE_OWN_ACCOUNT: _rule(Scope.ACCOUNT, Standing.USER),
}


def is_allowed(action: Action, standings: frozenset[Standing], scopes: frozenset[Scope] | None) -> bool:
    """
    Whether a person who stands so may do this.

    Parameters
    ----------
    action
        What is asked for.
    standings
        All that the person is towards what the request is about.
    scopes
        Of the token; None for a log-in by password, which may do all that the person may.
    """
    rule = RULES[action]
    return not rule.standings.isdisjoint(standings) and (scopes is None or rule.scope in scopes)


def scope_allows(action: Action, scopes: frozenset[Scope] | None) -> bool:
    """Whether a token of these scopes may be used for this at all."""
    return scopes is None or RULES[action].scope in scopes
