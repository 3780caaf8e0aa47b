# The service, built. The full image has what compiles better-sqlite3 where no prebuilt binary can be fetched.
FROM node:22-bookworm AS build
WORKDIR /app
# `npm install`, not `npm ci`: some optional packages are not built for every platform, and the lock file cannot list them.
COPY package.json package-lock.json ./
RUN npm install --no-fund --no-audit
COPY . .
RUN npm run build && npm prune --omit=dev --no-fund --no-audit

# The same Debian and the same Node: native modules are taken over as they were built.
FROM node:22-bookworm-slim
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=8007 \
    DATABASE_URL=file:/data/tools.db
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/drizzle drizzle
COPY --from=build /app/package.json ./
# What it writes is in /data alone: the program belongs to root.
RUN install -d -o node -g node -m 0700 /data
VOLUME /data
USER node
EXPOSE 8007
# Whether the process lives; /readyz, for a balancer, also asks the database.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`${process.env.TLS_CERT_FILE ? 'https' : 'http'}://127.0.0.1:${process.env.PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
# Without a shell between: the service gets SIGTERM itself, and stops as SHUTDOWN_DELAY and SHUTDOWN_TIMEOUT say.
CMD ["node", "--enable-source-maps", "dist/main.js"]
