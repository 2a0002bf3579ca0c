# The executor: one static binary and nothing else, no shell, not root. Built
# from what `make release` leaves in target/dist (the only thing that
# .dockerignore lets through), so that no other image is needed:
#
#   make release && docker build -f docker/executor.Dockerfile -t log-healer/executor .
#
# It needs the Docker socket's group (--group-add), its state on a volume at
# /var/lib/log-healer and the intent socket's volume at /run/healer.
FROM scratch
# bin/healer and empty directories that belong to 10001:10001, the state's with
# mode 0700: a new named volume takes owner and mode from here.
ADD target/dist/executor.tar /
USER 10001:10001
ENV PATH=/usr/local/bin
# The endpoint is published by the host, or not at all.
ENV HEALER_HTTP_LISTEN=0.0.0.0:9718
VOLUME ["/var/lib/log-healer"]
EXPOSE 9718
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["healer", "check", "--live"]
ENTRYPOINT ["healer"]
CMD ["run"]
