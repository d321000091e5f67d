# Every target works from any folder: make -C /path/to/vodmill run
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash

python := .venv/bin/python
# A complete environment without servers, for commands that only read the code.
static := DJANGO_SETTINGS_MODULE=tests.settings $(python)
# A file named on the command line is relative to the folder of the caller, with -C too. The shell reads both from the
# environment, which nothing has expanded: a name in the text of the command could itself be a command.
unexport VIDEO
export VIDEO_NAME := $(value VIDEO)
export CALLER_PWD := $(value PWD)
video = $(if $(value VIDEO),--video "$$(cd "$$CALLER_PWD" && realpath -m -- "$$VIDEO_NAME")")
# For targets that require a former `make run`.
started = if [ -x $(python) ]; then $(python) -m embedded $(1); else echo 'nothing runs here: `make run` starts it'; exit 1; fi

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.PHONY: setup
setup: ## Install what `make run` needs (root only where Debian packages are missing)
	@scripts/setup run

.PHONY: run
run: setup ## Start everything, print the page and its login, transcode a video (VIDEO=path; PORT=n for the API)
	@$(python) -m embedded run $(video) $(if $(PORT),--port $(PORT))

.PHONY: live
live: setup ## Start everything for live streams with a test pattern on the air, and print how to publish and watch
	@$(python) -m embedded live

.PHONY: admin
admin: ## Print name and password for the page and the admin of the running services
	@$(call started,admin)

.PHONY: stop
stop: ## Stop the services that `make run` and `make live` started
	@if [ -x $(python) ]; then $(python) -m embedded stop; else echo 'nothing was ever started here'; fi

.PHONY: status
status: ## List the services and their process ids
	@$(call started,status)

.PHONY: manage
manage: ## Run a command of manage.py with the running services (ARGS="work_status")
	@$(call started,manage $(ARGS))

.PHONY: test
test: testsetup ## Set up, check and run every test (ARGS="…" goes to pytest)
	@$(if $(ARGS),$(MAKE) check && $(python) -m pytest $(ARGS),scripts/test)

.PHONY: check
check: testsetup ## Check style, types, import direction, migrations, deployment and the API's schema
	@$(python) -m ruff format --check --quiet .
	@$(python) -m ruff check --quiet .
	@$(python) -m mypy
	@.venv/bin/lint-imports --no-cache --no-logo
	@scripts/check-deployment
	@$(static) manage.py makemigrations --check --dry-run
	@env $$(env | sed -n 's/^\(TRANSCODER_[A-Z0-9_]*\)=.*/-u \1/p') TRANSCODER_SECRET_KEY=$$(head -c 64 /dev/urandom | base64 -w 0) \
		$(python) manage.py check --deploy --fail-level WARNING
	@$(static) manage.py spectacular --validate --fail-on-warn --file .vodmill/openapi.yaml
	@diff -u docs/openapi.yaml .vodmill/openapi.yaml || { echo "docs/openapi.yaml is out of step: make schema"; exit 1; }
	@tests/openapi/node_modules/.bin/spectral lint --quiet --fail-severity hint --ruleset tests/openapi/spectral.yaml \
		docs/openapi.yaml

.PHONY: checkov
checkov: ## Scan k8s/ for weak settings; the exceptions are in .checkov.yaml
	@scripts/setup checkov
	@.vodmill/checkov/bin/checkov --config-file .checkov.yaml

.PHONY: browsers
browsers: ## Try the outputs in Chromium, Firefox, mpv and VLC, about 20 minutes (ARGS="--only firefox")
	@scripts/setup browsers
	@$(python) -m tests.browser $(ARGS)
	@$(python) -m tests.browser.live
	@$(python) -m tests.browser.livestreams

.PHONY: chaos
chaos: testsetup ## Run 500 small jobs in 30 minutes while every process is killed at random (ARGS="--seed 1")
	@$(python) -m tests.faults.chaos $(ARGS)

.PHONY: soak-uploads
soak-uploads: testsetup ## Upload four files of 2 GB at once, in parts and by tus, and measure the API's memory (ARGS="--megabytes 200")
	@$(python) -m tests.faults.soak_uploads $(ARGS)

.PHONY: model
model: testsetup ## Compare jobs with their model in 1,000 random histories, about 15 minutes (ARGS="--examples 100")
	@$(python) -m pytest -q --show-capture=no --examples 1000 $(ARGS) tests/integration/jobs/test_model.py

.PHONY: drift
drift: testsetup ## Measure how far audio and video drift apart in 45 minutes of a varying rate (ARGS="--minutes 10")
	@$(python) -m tests.ffmpeg.drift $(ARGS)

.PHONY: soak-rtmp
soak-rtmp: testsetup ## Publish for five minutes while live workers are killed, and compare every frame (SECONDS=3600 KILLS=0)
	@SECONDS=$(or $(SECONDS),300) KILLS=$(or $(KILLS),3) $(python) -m pytest -q -s tests/integration/live/soak_rtmp.py

.PHONY: soak-live
soak-live: testsetup ## Watch a transcode and four remuxes for an hour, and measure (ARGS="--clients 100 --minutes 5", ARGS=--damage)
	@$(python) -m tests.soak.live $(ARGS)

.PHONY: page
page: testsetup ## Use the page in Chromium, with interrupted uploads of 300 MB, about 3 minutes
	@$(python) -m pytest -q tests/acceptance/test_web_page.py --upload-mib 300 $(ARGS)

.PHONY: schema
schema: testsetup ## Write docs/openapi.yaml from the code
	@$(static) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

.PHONY: proto
proto: testsetup ## Write the modules of the gRPC status service from its proto
	@$(python) -m grpc_tools.protoc -Istatus_grpc/generated=status_grpc --python_out=. --pyi_out=. \
		--grpc_python_out=. status_grpc/generated/module_service.proto

.PHONY: inputs
inputs: testsetup ## Write docs/inputs.md from the table in tests/inputs
	@$(python) -m tests.inputs.document

.PHONY: screenshots
screenshots: testsetup ## Take the screenshots of docs/images again
	@$(python) -m pytest -q tests/acceptance/test_admin.py tests/acceptance/test_web_page.py --screenshots

.PHONY: bench
bench: ## Measure speed and overhead and write docs/benchmarks.md (ARGS="--only latency")
	@scripts/setup bench
	@$(python) -m benchmarks $(ARGS)

.PHONY: lock
lock: testsetup ## Lock the newest Python packages that requirements/*.in allow, with the hashes of the index in use
	@for name in runtime embedded development peers checkov; do \
		$(python) -m piptools compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header \
			--no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
			requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

.PHONY: testsetup
testsetup:
	@scripts/setup test
