/**
 * The entry point of a worker thread, a whole data plane: accepts, routes, proxies. It is told of changes by the main
 * thread and acknowledges each; an error that nobody foresaw ends this thread alone, and the main thread replaces it.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { RequestExchange } from "../proxy/exchange.ts";
import type { ProxyFailure } from "../proxy/failure.ts";
import { type Offence, offences } from "../wire/http2/protocol.ts";
import { collectAfterLoading } from "./collect.ts";
import type { RefusedHeader } from "./front/proxy-header.ts";
import { Listeners } from "./listeners.ts";
import { LoadTable } from "./loads.ts";
import { AccessLog } from "./log/access-record.ts";
import { AccessLogBatch } from "./log/log-batch.ts";
import { rateLimited } from "./log/rate-limited.ts";
import type { FromWorker, ListenOn, ToWorker, WorkerStart } from "./messages.ts";
import { monitorLoop } from "./metrics/loop-monitor.ts";
import { SeriesTable } from "./metrics/series.ts";
import { WorkerCounters } from "./metrics/shared.ts";
import { type ListenError, placeFailure } from "./ports/listen-failure.ts";
import { shareStrings } from "./share-strings.ts";
import { ClaimRequests } from "./stream/claims.ts";
import { StreamTable, streamLabels } from "./stream/counters.ts";
import type { StreamHost } from "./stream/port.ts";
import { headerRules, StreamPorts } from "./stream/ports.ts";
import { WorkerPlane } from "./worker-plane.ts";

/** Failed requests told in the log a second; a dead upstream under load would otherwise drown everything else. */
const failuresToldPerSecond = 10;
/** Connections without a PROXY protocol header told in the log a second, for the same reason. */
const headersToldPerSecond = 1;
/** Clients told in the log a second that this process has nothing left for. */
const shortagesToldPerSecond = 1;
/** Floods of HTTP/2 told in the log a second. */
const floodsToldPerSecond = 1;

const port = parentPort;
if (port !== null) run(workerData as WorkerStart);

function run(start: WorkerStart): void {
  const { settings } = start;
  const counters = new WorkerCounters(start.counters);
  counters.resetGauges();
  const series = new SeriesTable(start.series);
  const batch = new AccessLogBatch((lines) => send({ kind: "lines", lines }, [lines.buffer]));
  const accessLog = new AccessLog(settings.accessLogFormat, batch);
  const loads = new LoadTable(start.index, start.workers);
  const reportUpstream = (upstream: string, reason: string): void =>
    send({
      kind: "log",
      level: "error",
      message: "an upstream cannot be used; it answers 503",
      fields: { upstream, reason },
    });
  const reportFailure = failureReporter();
  const reportFailing = (upstream: string, address: string): void => send({ kind: "failing", upstream, address });
  const told = { reportFailure, reportUpstream, reportFailing };
  const plane = new WorkerPlane({ settings, counters, series, loads, accessLog, ...told });
  const tls = {
    settings,
    selfSigned: start.selfSigned,
    ticketKeys: start.ticketKeys,
    report: (fingerprints: readonly string[], reason: string) => {
      const message = "a certificate cannot be used; its hosts are served with the default one";
      send({ kind: "log", level: "error", message, fields: { fingerprint: fingerprints.join(", "), reason } });
    },
  };
  const acceptFailed = shortageReporter("accepting a connection failed", "more connections could not be accepted");
  const streamSeries = new StreamTable(start.streamSeries);
  const streamHost: StreamHost = {
    wheel: plane.wheel,
    clock: plane.clock,
    headers: headerRules(settings),
    countersOf: (service) => streamSeries.of(streamLabels(service)),
    log: (record) => accessLog.writeStream(record),
    report: acceptFailed,
    socketFailed: shortageReporter(
      "no socket to an endpoint for a client",
      "more clients had no socket to an endpoint",
    ),
  };
  const reports = { acceptFailed, headerRefused: headerReporter(), http2Ended: floodReporter() };
  const listeners = new Listeners(plane, settings, tls, streamHost, reports);
  const claims = new ClaimRequests((claim, place) => send({ kind: "claim", claim, place }));
  const streams = new StreamPorts({
    host: streamHost,
    listenOn: start.streams,
    claim: (place) => claims.claim(place),
    release: (place) => send({ kind: "released", place }),
    unavailable: (ports) => send({ kind: "unavailable", ports }),
  });
  // In the order of the changes, though ports are opened meanwhile.
  let inForce = Promise.resolve();
  const acknowledge = (revision: number): void => {
    const opened = streams.opened;
    inForce = inForce.then(() => opened).then(() => send({ kind: "applied", revision }));
  };
  monitorLoop(counters);

  let loaded = false;
  port?.on("message", (message: ToWorker) => {
    switch (message.kind) {
      case "apply": {
        if (message.series !== null) series.apply(message.series);
        if (message.loads !== null) loads.apply(message.loads);
        // Certificates first: a host must never be served without the certificate that came with it.
        const keys = new Map(message.keys);
        shareStrings(message.patch.hosts);
        listeners.tls.apply(message.patch, keys);
        plane.apply(message.patch, keys);
        if (message.streamSeries !== null) streamSeries.apply(message.streamSeries);
        listeners.pass(plane.hosts);
        streams.apply(message.patch.streams);
        if (!loaded) collectAfterLoading(message.patch.hosts.set.length);
        loaded = true;
        acknowledge(message.revision);
        return;
      }
      case "health":
        plane.setHealth(message.changes);
        return;
      case "settings": {
        const { settings } = message;
        accessLog.format = settings.accessLogFormat;
        plane.configure(settings);
        listeners.configure(settings);
        listeners.tls.configure(settings);
        streams.configure(settings);
        acknowledge(message.revision);
        return;
      }
      case "listen":
        listen(listeners, message.on);
        return;
      case "claimed":
        claims.answered(message.claim, message.code);
        return;
      case "drain":
        void Promise.all([listeners.drain(message.grace), streams.drain(message.grace)]).then(() => {
          accessLog.flush();
          send({ kind: "drained" });
        });
        return;
    }
  });
}

function listen(listeners: Listeners, on: ListenOn): void {
  listeners.listen(on).then(
    () => send({ kind: "listening" }),
    (error: ListenError) => send({ kind: "failed", reason: placeFailure(error, on) }),
  );
}

/** Tells failures of upstreams in the log, some a second, and how many it kept to itself. */
function failureReporter(): (exchange: RequestExchange, cause: ProxyFailure) => void {
  const mayTell = rateLimited(failuresToldPerSecond, (count) => {
    send({ kind: "log", level: "warn", message: "more upstream failures", fields: { count } });
  });
  return (exchange, cause) => {
    if (cause.side === "client" || !mayTell()) return;
    const { host, path, requestId, tries } = exchange;
    const fields = {
      kind: cause.kind,
      detail: cause.detail,
      host,
      path,
      tries,
      requestId,
      ingress: exchange.route?.route.ingress,
    };
    send({ kind: "log", level: "warn", message: "upstream failed", fields });
  };
}

/** Tells which peer sends no PROXY protocol header, for either it or the setting is wrong. */
function headerReporter(): (header: RefusedHeader) => void {
  const level = "warn";
  const mayTell = rateLimited(headersToldPerSecond, (count) => {
    send({ kind: "log", level, message: "more connections without a PROXY protocol header", fields: { count } });
  });
  return ({ address, reason }) => {
    const message = "a connection without a PROXY protocol header was closed";
    if (mayTell()) send({ kind: "log", level, message, fields: { peer: address, reason } });
  };
}

/** Tells what this process has run out of, descriptors as a rule; every client that comes then meets with it. */
function shortageReporter(message: string, more: string): (error: Error) => void {
  const level = "error";
  const mayTell = rateLimited(shortagesToldPerSecond, (count) => {
    send({ kind: "log", level, message: more, fields: { count } });
  });
  return (error) => {
    if (mayTell()) send({ kind: "log", level, message, fields: { reason: error.message } });
  };
}

/** Tells which client of HTTP/2 was sent away. Who merely speaks it wrongly harms nobody: they are counted, and not told. */
function floodReporter(): (peer: string, offence: Offence) => void {
  const level = "warn";
  const mayTell = rateLimited(floodsToldPerSecond, (count) => {
    send({ kind: "log", level, message: "more clients of HTTP/2 were sent away", fields: { count } });
  });
  return (peer, offence) => {
    if (offence === "protocol" || !mayTell()) return;
    const message = "a client of HTTP/2 was sent away";
    send({ kind: "log", level, message, fields: { peer, reason: offences[offence] } });
  };
}

function send(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}
