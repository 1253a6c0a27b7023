/** Words of TLS that settings, annotations and nginx.conf have in common. */

/**
 * What TLS 1.2 clients are offered where nothing else is said, as OpenSSL lists it: the ciphers of ingress-nginx, and of
 * Mozilla's intermediate level, that need no finite-field Diffie-Hellman.
 */
export const usualCiphers = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");
