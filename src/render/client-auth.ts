/**
 * The directives by which a server asks its clients for certificates. Where one of them cannot be written all locations of
 * the server answer 503: without it a guard would be missing.
 */
import type { Directive } from "../features/feature.ts";
import type { ClientAuth } from "../model/client-auth.ts";
import { parseSearch } from "../router/search.ts";
import { refuseDirective } from "./arguments.ts";
import type { LocationBlock } from "./configuration.ts";
import { ours } from "./names.ts";
import { commonPage, pageStatuses } from "./pages.ts";
import { toPcre } from "./pcre.ts";
import { unavailable } from "./routes.ts";

export interface ClientAuthText {
  /** For the server. */
  readonly server: readonly Directive[];
  /** For each of its locations, before all others; null: they are closed. */
  readonly location: readonly Directive[] | null;
}

/** The files of an authority, relative to nginx.conf. */
export interface AuthorityPaths {
  readonly chain: string;
  readonly revoked: string | null;
}

/** `authorityOf` gives the files by fingerprint; null: there are none. `used`: some host asks for certificates. */
export function clientAuthDirectives(
  auth: ClientAuth | undefined,
  authorityOf: (fingerprint: string) => AuthorityPaths | null,
  used: boolean,
): ClientAuthText {
  if (auth === undefined) return { server: used ? [mark("")] : [], location: [] };
  const asked = auth.verify === "off" ? [] : askDirectives(auth, authorityOf);
  const matched = auth.matchCn === null ? [] : matchDirectives(auth.matchCn);
  if (asked === null || matched === null) return closed;
  const server = [...asked, mark(auth.passCertificate ? "2" : "1")];
  const refused = [...server, ...matched].some((directive) => refuseDirective(directive) !== null);
  return refused ? closed : { server, location: matched };
}

/** The locations with what clients are checked by; pages are shown to everybody, that of a closed location among them. */
export function withClientAuth(
  locations: readonly LocationBlock[],
  { location }: ClientAuthText,
): readonly LocationBlock[] {
  if (location?.length === 0) return locations;
  return locations.map((each) => {
    if (String(each.match[1] ?? "").startsWith(commonPage)) return each;
    if (location === null) return { ...each, directives: [...each.directives.filter(isOfPages), unavailable] };
    return { ...each, directives: [...location, ...each.directives] };
  });
}

/** What leads to a page, and what the page has in common with its location. */
function isOfPages({ name }: Directive): boolean {
  return name === "error_page" || name === "add_header";
}

/** Read by the maps of nginx.conf.ejs: "" none, "1" the upstream is told of the certificate, "2" and given it. */
function mark(value: string): Directive {
  return { name: "set", args: [ours("$sluice_client_auth"), value] };
}

/** The mark stands there even so: a variable that no server sets is unknown to nginx. */
const closed: ClientAuthText = { server: [mark("1")], location: null };

function askDirectives(
  { verify, authority, depth, errorPage }: ClientAuth,
  authorityOf: (fingerprint: string) => AuthorityPaths | null,
): readonly Directive[] | null {
  const files = authorityOf(authority);
  if (files === null) return null;
  return [
    { name: "ssl_client_certificate", args: [files.chain] },
    { name: "ssl_verify_client", args: [verify] },
    { name: "ssl_verify_depth", args: [String(depth)] },
    ...(files.revoked === null ? [] : [{ name: "ssl_crl", args: [files.revoked] }]),
    { name: "ssl_session_tickets", args: ["off"] },
    { name: "ssl_session_cache", args: ["off"] },
    // A server with pages of its own has none of those that stand further up.
    { name: "error_page", args: [...pageStatuses.map(String), commonPage] },
    { name: "error_page", args: ["494", "=431", commonPage] },
    {
      name: "error_page",
      args: errorPage === null ? ["495", "496", "=400", commonPage] : ["495", "496", "=", errorPage],
    },
  ];
}

function matchDirectives(source: string): readonly Directive[] | null {
  const parsed = parseSearch(source);
  if ("refused" in parsed) return null;
  const condition = [ours("($ssl_client_s_dn"), "!~*", toPcre(parsed.pattern), ours(")")];
  return [{ name: "if", args: condition, block: [{ name: "return", args: ["403"] }] }];
}
