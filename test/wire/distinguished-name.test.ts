import assert from "node:assert/strict";
import { distinguishedName } from "../../src/wire/distinguished-name.ts";

describe("a distinguished name", () => {
  for (const [lines, name] of [
    ["", ""],
    ["CN=a", "CN=a"],
    [
      'C=DE\nO=A\\, B\\"q\\"\nOU=x + OU=y\nCN=clïent\nemailAddress=a@b',
      'emailAddress=a@b,CN=cl\\C3\\AFent,OU=y+OU=x,O=A\\, B\\"q\\",C=DE',
    ],
    ["CN=a \\+ b", "CN=a \\+ b"],
    ["CN=\\0A\\0D", "CN=\\0A\\0D"],
    ["CN=\u0007\u2028\ud800", "CN=\\07\\E2\\80\\A8\\EF\\BF\\BD"],
  ] as const) {
    it(`is ${JSON.stringify(name)}, out of ${JSON.stringify(lines)}`, () => {
      assert.equal(distinguishedName(lines), name);
    });
  }
});
