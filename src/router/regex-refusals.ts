/**
 * The constructs of PCRE that have no form without backtracking, or whose meaning is not worth the risk: how each is
 * named to the user, and what to write instead.
 */

/** What a refusal says: the construct, and the remedy. */
type Refused = readonly [construct: string, remedy: string];

/** The refused construct that begins at `at`, right after "("; undefined when there is none. */
export function refusedGroup(source: string, at: number): Refused | undefined {
  const rest = source.slice(at, at + longestSign);
  return groups.find(([sign]) => sign.test(rest))?.[1];
}

/** For an escape that has no meaning here; `letter` follows the backslash, "" at the end of the source. */
export function refusedEscape(letter: string): Refused {
  if (letter === "") {
    return ["a backslash that nothing follows", 'write "\\\\" for the character'];
  }
  if (letter >= "1" && letter <= "9") {
    return [`the back reference "\\${letter}"`, "write the text that is to be repeated, or one path for each"];
  }
  return escapes.get(letter) ?? [`the escape "\\${letter}"`, `write "${letter}" for the character`];
}

const longestSign = 4;

const groups: readonly (readonly [RegExp, Refused])[] = [
  [/^\?=/, ['the lookahead "(?="', "match the text itself; a rewrite leaves out what stands in no group that it uses"]],
  [
    /^\?!/,
    [
      'the negative lookahead "(?!"',
      "give the paths to be left out a longer expression, which is tried before this one",
    ],
  ],
  [/^\?<=/, ['the lookbehind "(?<="', "match the text itself and put the rest in a group"]],
  [
    /^\?<!/,
    [
      'the negative lookbehind "(?<!"',
      "give the paths to be left out a longer expression, which is tried before this one",
    ],
  ],
  [/^\?>/, ['the atomic group "(?>"', "write (?:…), which never backtracks here"]],
  [/^\?\|/, ['the branch reset "(?|"', "write (?:…) and give each branch a path of its own"]],
  [/^\?\(/, ['the conditional "(?("', "write a path for each case"]],
  [/^\?(?:R|&|P>|[+-]?\d)/, ["the recursion", "write out the part that it repeats"]],
  [/^\?P=/, ['the back reference "(?P="', "write the text that is to be repeated, or one path for each"]],
  [/^\?C/, ['the callout "(?C"', "leave it out"]],
  [/^\*[A-Za-z:]/, ['the verb "(*"', "leave it out; nothing backtracks here"]],
];

const escapes: ReadonlyMap<string, Refused> = new Map([
  ["G", ['"\\G"', 'write "^"']],
  ["K", ['the match reset "\\K"', "put the part to be kept in a group"]],
  ["R", ['"\\R"', "write [\\n\\r]"]],
  ["X", ['"\\X"', 'write ".", which is one byte']],
  ["c", ['the escape "\\c"', "write \\x and two hexadecimal digits"]],
  ["g", ['the back reference "\\g"', "write the text that is to be repeated, or one path for each"]],
  ["k", ['the back reference "\\k"', "write the text that is to be repeated, or one path for each"]],
  ["o", ['the escape "\\o"', "write \\x and two hexadecimal digits"]],
  ["p", ['the property "\\p"', "write a class such as [a-z] or [[:alpha:]]; paths are matched byte by byte"]],
  ["P", ['the property "\\P"', "write a class such as [^a-z] or [[:^alpha:]]; paths are matched byte by byte"]],
  ["x", ['the escape "\\x"', "write two hexadecimal digits behind it"]],
]);
