"""What a precision asks of the device, and what it does to products of float32."""

from __future__ import annotations

import pytest
import torch

from hskd_lightning.models.precision import check_precision, computing, float32_products
from tests.helpers import refusal

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
HOPPER, TURING = (9, 0), (7, 5)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """A machine of one's own choice."""

    def built(units: tuple[str, ...] = (), capability: tuple[int, int] = HOPPER) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(units, True), raising=False)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)

    return built


def test_full_precision_asks_for_nothing(machine) -> None:
    machine(capability=TURING)
    check_precision("32-true", CPU)
    check_precision("32-true", GPU)


@pytest.mark.parametrize("unit", ["avx512_bf16", "amx_bf16", "sve_bf16"])
def test_a_processor_with_units_for_bfloat16_has_it(unit: str, machine) -> None:
    machine(units=(unit,))
    check_precision("bf16-mixed", CPU)


def test_a_processor_without_them_would_emulate_it(machine) -> None:
    machine(units=("avx2", "avx512_f"))
    with refusal("trainer.precision", "this cpu has no units for bfloat16: it is emulated, slower than 32-true"):
        check_precision("bf16-mixed", CPU)


def test_tf32_is_no_processors(machine) -> None:
    machine(units=("amx_bf16",))
    with refusal("trainer.precision", "an NVIDIA GPU of compute capability 8.0 or higher"):
        check_precision("tf32", CPU)


@pytest.mark.parametrize("precision", ["tf32", "bf16-mixed"])
def test_a_gpu_from_ampere_on_has_both(precision: str, machine) -> None:
    machine(capability=HOPPER)
    check_precision(precision, GPU)


@pytest.mark.parametrize("precision", ["tf32", "bf16-mixed"])
def test_an_older_gpu_has_neither(precision: str, machine) -> None:
    machine(capability=TURING)
    with refusal("trainer.precision", "set trainer.precision=32-true"):
        check_precision(precision, GPU)


@pytest.mark.parametrize(("precision", "inside"), [("tf32", "high"), ("32-true", "highest"), ("bf16-mixed", "highest")])
@pytest.mark.parametrize("before", ["highest", "medium"])
def test_products_are_as_asked_whatever_was_set(precision: str, inside: str, before: str) -> None:
    torch.set_float32_matmul_precision(before)
    try:
        with float32_products(precision):
            assert torch.get_float32_matmul_precision() == inside
        assert torch.get_float32_matmul_precision() == before
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(("precision", "made"), [("bf16-mixed", torch.bfloat16), ("32-true", torch.float32)])
def test_a_teachers_pass_computes_as_a_stage_does(precision: str, made: torch.dtype) -> None:
    with computing(precision, CPU):
        assert torch.nn.functional.linear(torch.ones(1, 2), torch.ones(3, 2)).dtype == made
