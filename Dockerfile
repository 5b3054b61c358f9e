# The image holds one static binary and nothing else. It is built outside, by
#   cargo build --release --target x86_64-unknown-linux-musl
# so that the build needs no registry, uses cargo's cache, and what the tests ran is byte for byte what ships.
FROM scratch
LABEL org.opencontainers.image.title="virtualip" \
      org.opencontainers.image.description="Floating addresses for Kubernetes on bare metal: one node answers, never two" \
      org.opencontainers.image.licenses="Apache-2.0"
# Not root's, and writable for nobody: the agent runs as root without the powers of root.
COPY --chown=65532:65532 --chmod=0555 target/x86_64-unknown-linux-musl/release/virtualip /virtualip
ENTRYPOINT ["/virtualip"]
CMD ["agent"]
