import assert from "node:assert/strict";
import { dollarVariable } from "../../src/render/quote.ts";
import { findDirectives } from "../support/nginx-parser.ts";
import {
  argsOf,
  host,
  locationsOf,
  passed,
  render,
  renderSettings,
  route,
  serverNamed,
  snapshot,
  upstream,
  upstreamBackend,
} from "./snapshots.ts";

describe("the locations of a host", () => {
  const shapes: readonly (readonly [string, Parameters<typeof host>, readonly string[]])[] = [
    [
      "a prefix is two, so that nginx neither cuts it short nor redirects",
      ["a.example", route("/p", "web")],
      ["= /p → web", "/p/ → web", "/ → 404"],
    ],
    ["the root is one", ["a.example", route("/", "web")], ["/ → web"]],
    [
      "an exact path goes before the prefix of that path",
      ["a.example", route("=/p", "api"), route("/p", "web")],
      ["= /p → api", "/p/ → web", "/ → 404"],
    ],
    [
      "an exact path with a slash redirects nobody",
      ["a.example", route("=/p/", "web"), route("/", "api")],
      ["= /p/ → web", "= /p → api", "/ → api"],
    ],
    [
      "a regular expression that matches a prefix's path without its slash gets it",
      ["a.example", route("~/p$", "api"), route("/p", "web")],
      ["= /p → api", "~* ^/p\\z → api", "/p/ → web", "/ → 404"],
    ],
    [
      "regular expressions are in the router's order",
      ["a.example", route("~/a", "web"), route("~/bb", "api"), route("~/c", "other")],
      ["~* ^/bb → api", "~* ^/c → other", "~* ^/a → web", "/ → 404"],
    ],
    [
      "alternatives of a regular expression begin at the start, all of them",
      ["a.example", route("~/a|/b", "web")],
      ["~* ^(?:/a|/b) → web", "/ → 404"],
    ],
    [
      "of two routes with one path the first has it",
      ["a.example", route("=/p", "api"), route("=/p", "web"), route("/q", "web"), route("/q/", "api")],
      ["= /p → api", "= /q → web", "/q/ → web", "/ → 404"],
    ],
    [
      "a Service that is missing answers 503",
      ["a.example", route("/", "web", { backend: { kind: "unavailable", reason: "no such Service", service: null } })],
      ["/ → 503"],
    ],
    ["an upstream that is missing answers 503", ["a.example", route("/", "gone")], ["/ → 503"]],
    [
      "a closed route answers 503 and does nothing else",
      ["a.example", route("/", "web", { closed: "annotation x is invalid" })],
      ["/ → 503"],
    ],
  ];
  for (const [what, [name, ...routes], expected] of shapes) {
    it(what, () => {
      assert.deepEqual(locationsOf(serverNamed(render(snapshot({ hosts: [host(name, ...routes)] })), name)), expected);
    });
  }

  it("lead to the host's default route, else to the default backend, where nothing matches", () => {
    const own = { ...host("own.example", route("=/x", "web")), defaultRoute: route("/", "api") };
    const rendered = render(snapshot({ hosts: [host("a.example"), own], defaultBackend: upstreamBackend("other") }));
    assert.deepEqual(locationsOf(serverNamed(rendered, "own.example")), ["= /x → web", "/ → api"]);
    assert.deepEqual(locationsOf(serverNamed(rendered, "a.example")), ["/ → other"]);
    assert.deepEqual(locationsOf(serverNamed(rendered, "")), ["/ → other"]);
  });

  it("leave out what nginx cannot hold, and say so in the file and in the notes", () => {
    const routes = [route("=/a\u001bb", "web"), route("=/x/../y", "web"), route("/ok", "web")];
    const rendered = render(snapshot({ hosts: [host("a.example", ...routes)] }));
    assert.deepEqual(locationsOf(serverNamed(rendered, "a.example")), ["= /ok → web", "/ok/ → web", "/ → 404"]);
    assert.deepEqual(
      rendered.notes.map(({ place, reason }) => [place, reason]),
      [
        ["a.example/a\u001bb", "left out, for the path holds a control character"],
        ["a.example/x/../y", "left out, for the path has an empty or dot segment, which no request has"],
      ],
    );
    assert.ok(
      rendered.comments.some((comment) =>
        comment.includes("a\\u001bb: left out, for the path holds a control character"),
      ),
    );
  });

  it("close a route whose directive cannot be written, for a guard could be among them", () => {
    const cors = {
      origins: ["*"],
      methods: "GET\r\nX: y",
      headers: "",
      exposeHeaders: null,
      credentials: false,
      maxAge: 1,
    };
    const policy = { ...route("/", "web").policy, cors, sourceRange: { allow: ["10.0.0.0/8"], deny: [] } };
    const rendered = render(snapshot({ hosts: [host("a.example", route("/", "web", { policy }))] }));
    assert.deepEqual(locationsOf(serverNamed(rendered, "a.example")), ["/ → 503"]);
    assert.deepEqual(
      rendered.notes.map(({ reason }) => reason),
      ["closed, for an argument holds a control character"],
    );
  });

  it("say which Ingress they come from, and why they are closed, in one line each", () => {
    const closed = route("/p", "web", {
      closed: "annotation x is\n} invalid",
      declaredPath: "/p\n} #",
      ingress: "shop/web",
    });
    const { comments, text } = render(snapshot({ hosts: [host("a.example", closed)] }));
    assert.ok(comments.includes(' Ingress shop/web, path "/p\\n} #"'));
    assert.ok(comments.includes(" closed: annotation x is\\u000a} invalid"));
    assert.doesNotMatch(text, /^\} /m);
  });

  it("add their headers to error pages, too", () => {
    const cors = { origins: ["*"], methods: "GET", headers: "X-A", exposeHeaders: null, credentials: false, maxAge: 1 };
    const policy = { ...route("/", "web").policy, cors };
    const rendered = render(
      snapshot({ hosts: [host("a.example", route("/a", "web", { policy }), route("/b", "web", { policy }))] }),
    );
    const pages = findDirectives(rendered.directives, "location").filter(({ args }) => args[1] === "//sluice/page/1");
    assert.equal(pages.length, 1);
    const [page] = pages;
    assert.deepEqual(
      findDirectives(page?.block ?? [], "add_header").map(({ args }) => args.slice(0, 2)),
      [
        ["Access-Control-Allow-Origin", "*"],
        ["Access-Control-Allow-Methods", "GET"],
        ["Access-Control-Allow-Headers", "X-A"],
        ["Access-Control-Max-Age", "1"],
      ],
    );
    assert.ok(argsOf(rendered, "error_page").some((args) => args.at(-1) === "//sluice/page/1"));
  });
});

describe("the servers", () => {
  it("begin with the one for every other name, on both ports", () => {
    const rendered = render(snapshot({ hosts: [host("a.example", route("/", "web"))] }));
    const [first, second] = findDirectives(rendered.directives, "server").filter(({ block }) => block !== null);
    assert.deepEqual(
      findDirectives(first?.block ?? [], "listen").map(({ args }) => args),
      [
        ["127.0.0.1:8080", "default_server"],
        ["127.0.0.1:8443", "ssl", "http2", "default_server"],
      ],
    );
    assert.deepEqual(
      findDirectives(second?.block ?? [], "listen").map(({ args }) => args),
      [["127.0.0.1:8080"], ["127.0.0.1:8443", "ssl", "http2"]],
    );
  });

  // One socket for both would tell upstreams of IPv4 clients as ::ffff:192.0.2.1, which Sluice does not.
  it("listen on a socket for each family for ::", () => {
    const settings = { ...renderSettings, bindAddress: "::" };
    assert.deepEqual(argsOf(render(snapshot({}), { settings }), "listen"), [
      ["0.0.0.0:8080", "default_server"],
      ["[::]:8080", "default_server"],
      ["0.0.0.0:8443", "ssl", "http2", "default_server"],
      ["[::]:8443", "ssl", "http2", "default_server"],
    ]);
  });

  it("have a wildcard as an expression for one label, and no name that is a pattern to nginx", () => {
    const hosts = ["", "*.a.example", "a.example", "~^.*$", ".a.example", "*", "a.*", "_;", "x".repeat(254)];
    const rendered = render(snapshot({ hosts: hosts.map((name) => host(name, route("/", "web"))) }));
    assert.deepEqual(argsOf(rendered, "server_name"), [[""], ["~^[^.]+\\.a\\.example$"], ["a.example"]]);
    assert.equal(rendered.notes.length, 6);
  });

  it("serve a name that only has a certificate as the host that covers it", () => {
    const rendered = render(
      snapshot({
        hosts: [host("", route("/any", "other")), host("*.a.example", route("/", "web"))],
        tls: [
          { host: "*.b.example", certificates: ["f1"], secrets: ["shop/b"] },
          { host: "x.a.example", certificates: ["f2"], secrets: ["shop/x"] },
        ],
        certificates: ["f1", "f2"].map((fingerprint) => ({
          fingerprint,
          chain: `${fingerprint} chain`,
          names: [],
          notAfter: 0,
          secrets: [],
        })),
      }),
      {
        keys: new Map([
          ["f1", "f1 key"],
          ["f2", "f2 key"],
        ]),
      },
    );
    assert.deepEqual(locationsOf(serverNamed(rendered, "x.a.example")), ["/ → web"]);
    assert.deepEqual(locationsOf(serverNamed(rendered, "~^[^.]+\\.b\\.example$")), [
      "= /any → other",
      "/any/ → other",
      "/ → 404",
    ]);
    assert.deepEqual(findDirectives([serverNamed(rendered, "x.a.example")], "ssl_certificate")[0]?.args, [
      "certs/f2.crt",
    ]);
  });

  it("take the certificate of the exact name before a wildcard's, even when it is the default one", () => {
    const rendered = render(
      snapshot({
        hosts: [host("a.example.com", route("/", "web")), host("b.example.com", route("/", "web"))],
        tls: [
          { host: "*.example.com", certificates: ["f1"], secrets: ["shop/wild"] },
          { host: "a.example.com", certificates: [], secrets: ["shop/gone"] },
        ],
        certificates: [{ fingerprint: "f1", chain: "chain", names: [], notAfter: 0, secrets: [] }],
      }),
      { keys: new Map([["f1", "key"]]) },
    );
    assert.deepEqual(findDirectives([serverNamed(rendered, "a.example.com")], "ssl_certificate"), []);
    assert.equal(findDirectives([serverNamed(rendered, "b.example.com")], "ssl_certificate").length, 1);
  });
});

describe("the files", () => {
  const certificates = ["f1"].map((fingerprint) => ({
    fingerprint,
    chain: "chain one",
    names: [],
    notAfter: 0,
    secrets: [],
  }));
  const keys = new Map([["f1", "key one"]]);

  it("are nginx.conf, certificates and keys, for their owner's eyes alone", () => {
    const selfSigned = { chain: "own chain", key: "own key" };
    const { files } = render(snapshot({ certificates }), { keys, selfSigned });
    assert.deepEqual(
      files.map(({ path, mode, content }) => [path, mode, path === "nginx.conf" ? "" : content]),
      [
        ["nginx.conf", 0o600, ""],
        ["certs/f1.crt", 0o600, "chain one"],
        ["certs/f1.key", 0o600, "key one"],
        ["certs/self-signed.crt", 0o600, "own chain"],
        ["certs/self-signed.key", 0o600, "own key"],
      ],
    );
  });

  it("have no self-signed certificate where --default-ssl-certificate is in force", () => {
    const rendered = render(snapshot({ certificates, defaultCertificate: "f1" }), {
      keys,
      selfSigned: { chain: "c", key: "k" },
    });
    assert.deepEqual(
      rendered.files.map(({ path }) => path),
      ["nginx.conf", "certs/f1.crt", "certs/f1.key"],
    );
    assert.deepEqual(argsOf(rendered, "ssl_certificate"), [["certs/f1.crt"]]);
  });

  it("refuse handshakes where there is no default certificate at all", () => {
    const rendered = render(snapshot({}));
    assert.deepEqual(argsOf(rendered, "ssl_reject_handshake"), [["on"]]);
    assert.deepEqual(argsOf(rendered, "ssl_certificate"), []);
  });

  it("are not shown for a host that is passed through, by whatever way its handshakes come", () => {
    const tls = [{ host: "a.example", certificates: ["f1"], secrets: ["shop/a"] }];
    const hosts = [passed("a.example")];
    const rendered = render(snapshot({ hosts, certificates, tls, defaultCertificate: "f1" }), { keys });
    const { block } = serverNamed(rendered, "a.example");
    const argsIn = (name: string) => findDirectives(block ?? [], name).map(({ args }) => args);
    assert.deepEqual(argsIn("ssl_reject_handshake"), [["on"]]);
    assert.deepEqual(argsIn("ssl_certificate"), []);
  });

  it("are never referred to without being there: a certificate without its key is the default one", () => {
    const tls = [{ host: "a.example", certificates: ["f1"], secrets: ["shop/a"] }];
    const rendered = render(snapshot({ hosts: [host("a.example", route("/", "web"))], certificates, tls }));
    assert.deepEqual(argsOf(rendered, "ssl_certificate"), []);
    assert.equal(rendered.files.length, 1);
  });

  it("hold no private key in nginx.conf", () => {
    assert.doesNotMatch(render(snapshot({ certificates }), { keys }).text, /key one|chain one/);
  });
});

describe("what all servers share", () => {
  it("defines the variable that stands for a dollar sign in a text", () => {
    const [geo] = findDirectives(render(snapshot({})).directives, "geo");
    assert.deepEqual(geo, {
      name: "geo",
      args: [`$${dollarVariable}`],
      block: [{ name: "default", args: ["$"], block: null }],
    });
  });

  it("believes trusted proxies alone, and takes no network that is none", () => {
    const settings = { ...renderSettings, trustedProxies: ["10.0.0.0/8", "2001:db8::1", "nonsense; }"] };
    assert.deepEqual(argsOf(render(snapshot({}), { settings }), "set_real_ip_from"), [
      ["10.0.0.0/8"],
      ["2001:db8::1/128"],
    ]);
    assert.deepEqual(argsOf(render(snapshot({})), "set_real_ip_from"), []);
  });

  it("has the limits of the settings", () => {
    const settings = {
      ...renderSettings,
      clientHeaderTimeout: 2500,
      clientBodyTimeout: 1500,
      keepAliveTimeout: 0,
      proxyBodySize: 0,
    };
    const rendered = render(snapshot({}), { settings });
    assert.deepEqual(argsOf(rendered, "client_header_timeout"), [["2500ms"]]);
    assert.deepEqual(argsOf(rendered, "client_body_timeout"), [["1500ms"]]);
    assert.deepEqual(argsOf(rendered, "keepalive_timeout"), [["0s"]]);
    const [http] = findDirectives(rendered.directives, "http");
    const limits = (http?.block ?? []).filter(({ name }) => name === "client_max_body_size");
    assert.deepEqual(
      limits.map(({ args }) => args),
      [["0"]],
    );
  });

  it("says what no nginx does of HTTP/2 from clients, in the file and to whoever renders it where it was asked for", () => {
    const { comments, notes } = render(snapshot({}));
    assert.ok(comments.some((comment) => comment.includes("Over HTTP/2 (RFC 8441) nginx has none")));
    assert.deepEqual(notes, []);
    const without = render(snapshot({}), { settings: { ...renderSettings, useHttp2: false } });
    assert.ok(!without.comments.some((comment) => comment.includes("RFC 8441")));
    const settings = { ...renderSettings, http2PriorKnowledge: true };
    const [told, ...others] = render(snapshot({}), { settings }).notes;
    assert.match(told?.reason ?? "", /HTTP\/2 by prior knowledge is not spoken/);
    assert.deepEqual(others, []);
  });

  it("say whose time a PROXY protocol header has, for which nginx has no limit of its own in its http block", () => {
    const settings = { ...renderSettings, useProxyProtocol: true };
    const { text, notes } = render(snapshot({}), { settings });
    assert.deepEqual(
      notes.map(({ place, reason }) => [
        place,
        /within client-header-timeout: .* proxy-protocol-header-timeout$/.test(reason),
      ]),
      [["all servers", true]],
    );
    assert.match(text, /^# a PROXY protocol header has to come in one piece, /m);
  });

  it("show no key of session tickets, and say what becomes of sessions", () => {
    const sslSessionTicketKey = Buffer.alloc(48, 7).toString("base64");
    const { text, notes } = render(snapshot({}), { settings: { ...renderSettings, sslSessionTicketKey } });
    assert.ok(!text.includes(sslSessionTicketKey));
    assert.match(text, /^# TLS sessions resume at this nginx alone, /m);
    assert.deepEqual(
      notes.map(({ place, reason }) => [place, reason.includes("ssl-session-ticket-key")]),
      [["all servers", true]],
    );
    const without = { ...renderSettings, sslSessionTicketKey, sslSessionTickets: false };
    assert.deepEqual(render(snapshot({}), { settings: without }).notes, []);
  });

  it("limit the streams of a connection where HTTP/2 is spoken", () => {
    const limit = /^ {2}http2_max_concurrent_streams 100;$/m;
    assert.match(render(snapshot({})).text, limit);
    assert.doesNotMatch(render(snapshot({}), { settings: { ...renderSettings, useHttp2: false } }).text, limit);
  });

  it("compresses as the settings say, but no messages of gRPC, and says that it has no brotli", () => {
    assert.deepEqual(argsOf(render(snapshot({})), "gzip"), []);
    const routed = snapshot({
      hosts: [host("a.example", route("/", "web"), route("=/grpc", "grpc"))],
      upstreams: [upstream("web"), upstream("grpc", { protocol: "grpc" })],
    });
    const on = {
      ...renderSettings,
      useGzip: true,
      gzipLevel: 5,
      gzipMinLength: 20,
      gzipTypes: ["text/html", "text/css"],
    };
    const rendered = render(routed, { settings: on });
    assert.deepEqual(argsOf(rendered, "gzip"), [["on"], ["off"]]);
    assert.deepEqual(argsOf(rendered, "gzip_comp_level"), [["5"]]);
    assert.deepEqual(argsOf(rendered, "gzip_min_length"), [["20"]]);
    assert.deepEqual(argsOf(rendered, "gzip_types"), [["text/css"]]);
    assert.deepEqual(argsOf(render(snapshot({}), { settings: { ...on, gzipTypes: ["a/b", "*"] } }), "gzip_types"), [
      ["*"],
    ]);
    assert.deepEqual(argsOf(render(snapshot({}), { settings: { ...on, gzipTypes: ["text/html"] } }), "gzip_types"), []);
    const withBrotli = { ...renderSettings, enableBrotli: true };
    const { text, notes } = render(snapshot({}), { settings: withBrotli });
    const reason = "nothing is compressed with brotli: stock nginx has no module for it";
    assert.ok(text.includes(`# ${reason}`));
    assert.deepEqual(notes, [{ ingress: "", place: "all servers", reason }]);
    assert.doesNotMatch(render(snapshot({})).text, /brotli/);
  });
});
