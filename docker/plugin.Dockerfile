# Fluent Bit with the plugin. One .so serves every version since 2.2.1: it needs
# nothing newer than GLIBC_2.31. Built from what `make release` leaves in
# target/dist:
#
#   make release && docker build -f docker/plugin.Dockerfile -t log-healer/fluent-bit .
#
# The configuration is mounted at /etc/healer (compose.yaml does); the one that
# is built in is what the repository had.
ARG FLUENT_BIT_VERSION=5.1.1
FROM fluent/fluent-bit:${FLUENT_BIT_VERSION}
COPY target/dist/out_healer.so /usr/local/lib/log-healer/out_healer.so
COPY conf/fluent-bit.conf conf/fluent-bit.compose.conf conf/fluent-bit.yaml conf/parsers.conf conf/plugins.conf /etc/healer/
ENTRYPOINT ["/fluent-bit/bin/fluent-bit"]
CMD ["-c", "/etc/healer/fluent-bit.compose.conf"]
