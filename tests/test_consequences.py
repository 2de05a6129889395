"""What follows for a client from how gateways behave: forty rules, and the tests that hold them.

The numbers are those of the survey of gateways that this library was built on. A rule that is
not followed says why.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

CONSEQUENCES: dict[int, tuple[str, ...]] = {
    1: ("test_gateway::test_the_documented_form_where_there_is_no_path",),
    2: ("test_bulk::test_ids_are_listed_by_the_hundred",),
    3: ("test_checks::test_a_bad_id_is_refused",),
    4: ("test_ask::test_any_id_is_one_segment", "test_documented::test_json_ids_are_strings"),
    5: ("test_gateway::test_json_first_then_multipart_once",),
    6: (
        "test_answer_list::test_list_answered_by_one_task_in_an_envelope",
        "test_gateway::test_nothing_is_asked_for_nothing",
    ),
    7: ("test_gateway::test_answers_are_put_in_the_order_asked",),
    8: ("test_gateway::test_a_hundred_ids_a_call",),
    9: ("test_answer::test_fetch_of_an_unknown_id",),
    10: (
        "test_answer_seed::test_a_seed_in_an_envelope",
        "test_answer_odd::test_what_is_not_this_api",
    ),
    11: (
        "test_retry::test_what_is_worth_another_try",
        "test_answer_odd::test_the_snippet_of_a_page",
    ),
    12: ("test_answer_refusals::test_fetch_tells_refusals_apart",),
    13: ("test_answer_refusals::test_fetch_tells_refusals_apart",),
    14: ("test_reply::test_where_gateways_keep_their_words", "test_reply::test_the_request_id"),
    15: ("test_ask::test_the_key_is_in_one_header",),
    16: (
        "test_waiting::test_what_will_not_change_ends_the_wait_at_once",
        "test_errors::test_messages",
    ),
    17: (
        "test_exchange::test_a_fault_is_tried_again",
        "test_retry::test_retry_after_in_both_forms",
    ),
    18: (
        "test_exchange::test_seeds_are_asked_again_after_the_gateways_time",
        "test_waiting::test_an_unknown_id_has_a_grace",
    ),
    19: ("test_exchange::test_the_attempts_deadline_names_its_option",),
    20: ("test_decode_values::test_seeds", "test_answer_seed::test_an_envelope_without_a_seed"),
    21: ("test_answer_seed::test_the_documented_answer_has_no_seed",),
    22: ("test_gateway::test_a_task_that_carries_its_seed_costs_nothing",),
    23: ("test_gateway::test_an_answer_of_the_route_is_no_missing_route",),
    24: ("test_decode::test_a_value_of_the_wrong_type_is_set_aside",),
    25: ("test_waiting::test_an_unknown_status_is_not_final",),
    26: ("test_models::test_progress_does_not_end_a_task",),
    27: ("test_waiting::test_modal_ends_the_wait_at_once",),
    28: ("test_models::test_progress",),
    29: ("test_decode_values::test_times",),
    30: ("test_waiting::test_polls_come_at_the_promised_instants",),
    31: ("test_waiting::test_on_update_is_called_for_changes_only",),
    32: ("test_waiting::test_a_success_without_a_picture_is_asked_once_more",),
    33: (
        "test_decode::test_a_document_is_written_back",
        "test_models::test_when_the_documents_picture_expired",
    ),
    34: ("test_errors::test_messages_without_details",),
    35: ("test_checks::test_a_base_url_keeps_its_path",),
    36: ("test_documented::test_list_as_documented",),
    37: ("test_documented::test_seed_as_documented",),
    38: ("test_exchange::test_a_redirect_is_not_followed",),
    39: ("test_answer_webhook::test_a_webhook_is_read_like_an_answer",),
    40: ("test_answer_odd::test_what_is_not_this_api",),
}
NOT_FOLLOWED = {
    25: "status is compared to the letter: other words, other cases among them, are not final",
    26: "CANCELLED and Webman's FINISHED and FAILED are other words, so they are not final",
    29: "seconds are not guessed: no gateway that is spoken here sends them",
}


def names_in(path: Path) -> set[str]:
    """Name the tests of a file, those in classes too."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree if isinstance(node, kinds) and node.name.startswith("test_")}


@pytest.mark.parametrize("number", range(1, 41))
def test_a_consequence_is_held_by_a_test(number: int) -> None:
    """Each of the forty has a test that exists."""
    for entry in CONSEQUENCES[number]:
        module, _, name = entry.partition("::")
        assert name in names_in(TESTS / f"{module}.py")


def test_what_is_not_followed_has_a_reason() -> None:
    """A part of a rule that is left out is named with its reason."""
    assert set(NOT_FOLLOWED) <= set(CONSEQUENCES)
    assert all(NOT_FOLLOWED.values())
