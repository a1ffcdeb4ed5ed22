"""The headless host keeps the contract of every host, with stochastic and deterministic samplers."""

from __future__ import annotations

import dataclasses

from tests.headless.host_contract import HostContract


class TestDeterministic(HostContract):
    pass


class TestStochastic(HostContract):
    job = dataclasses.replace(HostContract.job, sampler="DPM++ SDE - Hyperbatch")


class TestOtherSizes(HostContract):
    job = dataclasses.replace(HostContract.job, width=96, height=64, scheduler="normal", sampler="Euler a - Hyperbatch")
