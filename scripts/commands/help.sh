# ./dev help
# shellcheck shell=bash

main() {
  cat <<'TEXT'
./dev COMMAND

  up                  installs what is missing, builds, starts a governed LiteLLM: proxy, admin-api, echo server, private database
  down                ends what `up` started; data stays in .dev
  status [--json]     what runs, and where
  logs [NAME] [-f]    the logs of litellm, admin-api, echo, postgres
  demo [ARGUMENT…]    real requests through the proxy: request, verdict, why, microseconds
  test [STAGE…]       unit, asan, lint, python, go, integration; all of them without a name
  test --full         also tsan, fuzz, and the whole of clang-tidy
  bench [NAME…]       benchmarks; without a name lists them
  fuzz [NAME] [SECONDS]   fuzzes one target or all, 60 s each
  lint                formatting, clang-tidy, headers, symbols, module arrows
  package             the wheel and the install archive, into dist/

Settings (environment variables)
  LITELLM_URL, LITELLM_MASTER_KEY   use this proxy and start none
  OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY   ask the real provider instead of the echo server
  AICP_DEV_LITELLM_PORT (4000), AICP_DEV_ADMIN_PORT (8086), AICP_DEV_ECHO_PORT (4010),
  AICP_DEV_DATABASE_PORT (54329)   a number, or auto
  AICP_DEV_WORKERS (1)     worker processes of LiteLLM
  AICP_DATABASE_URL        where admin-api keeps the rules, default sqlite:///…/.dev/admin/admin.db
  AICP_DEV_RULES (admin)   where the gate takes its rules from: admin-api, or folder (.dev/bundle)
  AICP_STORE               where the gate keeps budgets, default sqlite:///…/.dev/aicp/ledger.db
  AICP_DEV_STATE (.dev)    where an environment keeps its data, logs and pid files
  AICP_DEV_CACHE (~/.cache/aicp)   LiteLLM's environment, shared by checkouts
  AICP_DEV_JOBS            parallel compilers, default the number of processors
  AICP_DEV_QUERY_ENGINE    a native Prisma engine for LiteLLM's database, see scripts/litellm/PROVENANCE.md
TEXT
}
