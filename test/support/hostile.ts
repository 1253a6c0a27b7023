/**
 * Texts that have broken out of generated nginx configuration before (the ingress-nginx CVEs of 2021 to 2026 and their
 * bypasses), and arbitraries that mix them, for every field that a tenant can write.
 */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how nginx writes a variable
import fc from "fast-check";

const payloads: readonly string[] = [
  // CVE-2021-25742, CVE-2023-5043: a snippet, through whatever field.
  "x; } location /pwned { return 200 $host; } #",
  "/;}location/pwned{return 200;}#",
  '" ; } server { listen 1; } #',
  "'; alias /; '",
  // CVE-2021-25748: a line feed that the sanitiser did not look for.
  "/x\n    return 200 pwned;\n    #",
  "/x\r\nreturn 200;",
  "# comment\n} http {",
  // CVE-2023-5044: permanent-redirect.
  "https://www.example.com/;}location/pwned{return 200;}",
  'https://www.example.com/" ; return 200 "',
  // CVE-2024-7646: a carriage return only.
  "x\rreturn 200;",
  // CVE-2025-1097, -1098, -24514: quotes, backslashes and Lua in values.
  "CN=abc #(\n){}\n }}\nssl_engine ../../proc/1/fd/4;\n#",
  "http://example.com/#;}}}\nssl_engine x;\n",
  '"} content_by_lua_block { os.execute("id") } #',
  "access_by_lua_block{ngx.exit(200)}",
  // CVE-2026-24512: rules.http.paths.path.
  '/"; proxy_pass http://169.254.169.254/; #',
  "/$request_uri\\",
  // Variables, and what would end a quoted argument.
  "$host",
  "${host}",
  "${sluice_dollar}$sluice_host",
  "$1$9$0",
  "a$",
  "\\",
  '\\"',
  "\\\\",
  "\\n\\t\\r",
  '"',
  "'",
  "`",
  "{",
  "}",
  "{}",
  "{{ .Values }}",
  ";",
  "#",
  " ",
  "",
  "~ ^/",
  "~*",
  "=",
  "^~",
  "@named",
  "default",
  "hostnames",
  "include /etc/passwd",
  "unix:/var/run/docker.sock:",
  // The templates' own language.
  "<%= process.exit() %>",
  "<%- include('/etc/passwd') %>",
  "%>",
  "<%",
  "-%>",
  // Control characters and what some readers take for the end of a line.
  "\0",
  "\x1b[2J",
  "\x7f",
  "\x85",
  "\u2028return 200;",
  "\u2029",
  "\ufeff",
  "\u202e}",
  "ünïcödé 漢字 🚰",
  // Longer than nginx's buffer.
  "a".repeat(5000),
  '"'.repeat(3000),
  "\\".repeat(2500),
];

/** A payload, a mixture of several, or any text at all. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...payloads) },
  { weight: 2, arbitrary: fc.array(fc.constantFrom(...payloads), { maxLength: 4 }).map((parts) => parts.join("")) },
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
  { weight: 1, arbitrary: fc.stringMatching(/^[;{}"'#$\\\n\r\t a-z/<%>=~]{0,30}$/) },
);

/** A name as it should be, or hostile text. */
export function mostly(good: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof({ weight: 2, arbitrary: good }, { weight: 1, arbitrary: hostileText });
}
