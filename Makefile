# What people type. Each target first installs what is missing to do it (see .ci/needs).

.PHONY: demo test test-servers check dist

# A legacy application behind a gateway, on http://localhost:8080.
demo:
	@.ci/needs build
	cargo run --locked -- demo

test:
	@.ci/needs build test
	cargo test --locked

# What every server in the tests lets through to its handlers, also those that are written in Java
# and those from npm and PyPI, which .ci/registries installs into target/servers; and what axe-core,
# which comes from there, too, finds wrong with our pages.
test-servers:
	@.ci/needs build test java registries
	@.ci/registries
	cargo test --locked --test suite servers:: -- --include-ignored
	cargo test --locked --test suite browser::accessibility:: -- --include-ignored

# Form, lints and documentation.
check:
	@.ci/needs build
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --lib --examples

# What is given to operators: target/guided/doorward.
dist:
	@.ci/dist
