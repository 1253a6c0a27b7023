/** The rows of the settings table that say which responses are compressed, with the names and defaults of ingress-nginx. */
import type { CompressionSettings } from "../model/compression.ts";
import type { Setting } from "./setting.ts";
import { integer, size, toggle, words } from "./value.ts";

const mediaTypes = words(
  "TYPES",
  /^(?:\*|[a-z0-9!#$&^_.+-]{1,127}\/[a-z0-9!#$&^_.+-]{1,127})$/,
  "media types separated by spaces, such as text/css application/json, or *",
);

const defaultTypes = [
  "application/atom+xml",
  "application/javascript",
  "application/x-javascript",
  "application/json",
  "application/rss+xml",
  "application/vnd.ms-fontobject",
  "application/x-font-ttf",
  "application/x-web-app-manifest+json",
  "application/xhtml+xml",
  "application/xml",
  "font/opentype",
  "image/svg+xml",
  "image/x-icon",
  "text/css",
  "text/javascript",
  "text/plain",
  "text/x-component",
];

const all = ["serve", "render", "demo"] as const;

export const compressionTable: { readonly [Field in keyof CompressionSettings]: Setting<CompressionSettings[Field]> } =
  {
    useGzip: {
      flag: "use-gzip",
      configMap: "use-gzip",
      live: true,
      type: toggle,
      default: false,
      summary: "Compress responses with gzip for clients that take it.",
      commands: all,
    },
    gzipLevel: {
      flag: "gzip-level",
      configMap: "gzip-level",
      live: true,
      type: integer("LEVEL", 1, 9),
      default: 1,
      summary: "Effort of gzip, from 1, the fastest, to 9, the smallest.",
      commands: all,
    },
    gzipMinLength: {
      flag: "gzip-min-length",
      configMap: "gzip-min-length",
      live: true,
      type: size,
      default: 256,
      summary: "Least length of a response that is compressed with gzip; 0 is any.",
      commands: all,
    },
    gzipTypes: {
      flag: "gzip-types",
      configMap: "gzip-types",
      live: true,
      type: mediaTypes,
      default: defaultTypes,
      summary: "Media types that are compressed with gzip beside text/html; * is every type, empty is text/html alone.",
      commands: all,
    },
    enableBrotli: {
      flag: "enable-brotli",
      configMap: "enable-brotli",
      live: true,
      type: toggle,
      default: false,
      summary: "Compress responses with brotli for clients that take it; where gzip is as welcome, brotli wins.",
      commands: all,
    },
    brotliLevel: {
      flag: "brotli-level",
      configMap: "brotli-level",
      live: true,
      type: integer("LEVEL", 0, 11),
      default: 4,
      summary: "Effort of brotli, from 0, the fastest, to 11, the smallest.",
      commands: all,
    },
    brotliMinLength: {
      flag: "brotli-min-length",
      configMap: "brotli-min-length",
      live: true,
      type: size,
      default: 20,
      summary: "Least length of a response that is compressed with brotli; 0 is any.",
      commands: all,
    },
    brotliTypes: {
      flag: "brotli-types",
      configMap: "brotli-types",
      live: true,
      type: mediaTypes,
      default: ["application/xml+rss", ...defaultTypes],
      summary:
        "Media types that are compressed with brotli beside text/html; * is every type, empty is text/html alone.",
      commands: all,
    },
  };
