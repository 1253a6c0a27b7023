/** What settings say of compression; what it means for a response is decided in proxy/compression. */

/** The names are those of Settings; levels are the library's, lengths are in bytes. */
export interface CompressionSettings {
  readonly useGzip: boolean;
  readonly gzipLevel: number;
  readonly gzipMinLength: number;
  /** Media types in lower case, beside text/html; "*": every type. */
  readonly gzipTypes: readonly string[];
  readonly enableBrotli: boolean;
  readonly brotliLevel: number;
  readonly brotliMinLength: number;
  readonly brotliTypes: readonly string[];
}
