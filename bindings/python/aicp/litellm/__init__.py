"""A LiteLLM guardrail that puts every call through the gate.

In the proxy's configuration::

    guardrails:
      - guardrail_name: aicp
        litellm_params:
          guardrail: aicp.litellm.AicpGuardrail
          mode: [pre_call, post_call]
          default_on: true

Settings come from the environment; see :class:`aicp.litellm.settings.Settings`.
"""

from __future__ import annotations

from .guardrail import AicpGuardrail
from .settings import Settings

__all__ = ["AicpGuardrail", "Settings"]
