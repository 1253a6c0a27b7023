import assert from "node:assert/strict";
import { parse } from "yaml";
import { readCase } from "./case-reader.ts";

const from = { name: "idea", manifests: "", file: "idea/manifests.yaml" };

function read(yaml: string) {
  return readCase(parse(yaml), from);
}

describe("requests.yaml", () => {
  it("takes short forms, and what was sent and replied for what is expected", () => {
    const { requests } = read(`
      about: An idea.
      upstreams: { web: "10.0.0.1:80" }
      requests:
        - { send: "POST https://a.example:8443/x%2F?y", body: abc, upstream: web }
        - { send: "HEAD http://a.example/", upstream: web }
        - { send: "GET http://a.example", answer: 404 }
    `);
    const [post, head, missing] = requests;
    assert.deepEqual(
      [post?.send.scheme, post?.send.method, post?.send.host, post?.send.serverName, post?.send.target],
      ["https", "POST", "a.example:8443", "a.example", "/x%2F?y"],
    );
    assert.deepEqual(
      [post?.upstream?.method, post?.upstream?.target, post?.upstream?.body],
      ["POST", "/x%2F?y", "abc"],
    );
    assert.deepEqual([post?.answer.status, post?.answer.body], [200, "web\n"]);
    assert.deepEqual([head?.answer.status, head?.answer.body], [200, ""]);
    assert.deepEqual([missing?.send.target, missing?.answer.status, missing?.answer.body], ["/", 404, null]);
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ["a missing sentence", "requests: []", /^Error: idea\/requests\.yaml: about is missing$/],
    [
      "an unknown field",
      "about: x\nrequests: [{ send: GET http://a/, answer: 404, hedaers: [] }]",
      /requests\[0\]: there is no field "hedaers"; known are .*headers/,
    ],
    [
      "an upstream that is not declared",
      "about: x\nrequests: [{ send: GET http://a/, upstream: web }]",
      /requests\[0\]\.upstream: there is no upstream "web"/,
    ],
    [
      "a request that is no request",
      "about: x\nrequests: [{ send: /a, answer: 404 }]",
      /send: "\/a" is not like "GET http:\/\/host\/target"/,
    ],
    [
      "no expectation",
      "about: x\nrequests: [{ send: GET http://a/ }]",
      /answer: no upstream is asked, so the answer needs a status/,
    ],
    [
      "a number where a text belongs",
      "about: x\nrequests: [{ send: GET http://a/, body: 5, answer: 404 }]",
      /requests\[0\]\.body: 5 is not a text; put it in quotes/,
    ],
    [
      "a header that is none",
      "about: x\nrequests: [{ send: GET http://a/, headers: [nonsense], answer: 404 }]",
      /headers\[0\]: not like "Name: value"/,
    ],
    [
      "both forms of a request",
      'about: x\nrequests: [{ send: GET http://a/, raw: "x", answer: 404 }]',
      /either send or raw/,
    ],
  ];
  for (const [what, yaml, message] of wrong) {
    it(`tells ${what} with its place`, () => {
      assert.throws(() => read(yaml), message);
    });
  }
});
