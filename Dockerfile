# syntax=docker/dockerfile:1
# Two stages: the first builds and prunes, the second holds Node, Sluice and nothing that builds it.
# The tag names the exact Node that the tests run on; the packaging test compares it with package.json.
FROM node:26.10.0-slim AS build
WORKDIR /sluice
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
# Without scripts: the only one that wants to run downloads a Node, and this image has that Node already.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:26.10.0-slim
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="Kubernetes ingress controller: Ingress rules in, a live HTTP and HTTPS router out, and the same rules as nginx.conf" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /sluice
COPY LICENSE package.json ./
COPY templates ./templates
COPY --from=build /sluice/node_modules ./node_modules
COPY --from=build /sluice/dist ./dist
# Probes come from the node, not from inside the container.
ENV NODE_ENV=production \
    SLUICE_ADMIN_ADDRESS=::
# By number, so that Kubernetes can check runAsNonRoot. Nothing is written: the root file system may be read-only.
USER 65532:65532
EXPOSE 8080 8443 10254
# Kubernetes asks /healthz and /readyz on the admin port; a check inside the container would need a shell or a second Node.
HEALTHCHECK NONE
# Node is PID 1 and gets the signals itself: no shell, no npm in between.
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve"]
