# What people type. Each target first installs what is missing to do it (see .ci/needs).

.PHONY: demo test check dist

# A legacy application behind a gateway, on http://localhost:8080.
demo:
	@.ci/needs build
	cargo run --locked -- demo

test:
	@.ci/needs build test
	cargo test --locked

# Form, lints and documentation.
check:
	@.ci/needs build
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --lib --examples

# What is given to operators: target/guided/doorward.
dist:
	@.ci/dist
