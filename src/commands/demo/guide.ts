/** What the demo prints when it runs: commands to copy, each of which shows one thing. */

export interface GuideParts {
  /** Where the manifests are. */
  readonly directory: string;
  readonly http: number;
  readonly https: number;
  /** Of TCP and UDP; null: the manifests open none. */
  readonly streams: number | null;
  /** Address and port. */
  readonly admin: string;
}

export function guide({ directory, http, https, streams, admin }: GuideParts): string {
  return `
Sluice is serving the manifests in ${directory}

Try, in another terminal:

  # Requests move between one, two and three replicas of web; none fails.
  while sleep 0.3; do curl -s http://shop.localhost:${http}/; done

  # The same host over TLS, with a certificate from a Secret, and by HTTP/2.
  curl --cacert ${directory}/certificate.pem https://shop.localhost:${https}/

  # A rewritten path, and the headers that the upstream sees.
  curl 'http://shop.localhost:${http}/echo/hello?name=you'

  # A CORS preflight, and a redirect.
  curl -i -X OPTIONS -H 'Origin: https://app.example' -H 'Access-Control-Request-Method: PUT' http://api.localhost:${http}/
  curl -i http://old.localhost:${http}/

  # A WebSocket, which stays open whatever you edit. Talk at http://chat.localhost:${http}/ with a browser: it is told here, too.
  curl -i -N -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: c2x1aWNlIGRlbW8gY2hhdA==' http://chat.localhost:${http}/

  # A call of gRPC: a message of five bytes of head, a tag, a length and a name. Its status is in the trailers.
  printf '\\0\\0\\0\\0\\5\\n\\3you' | curl -s -i --output - --cacert ${directory}/certificate.pem -H 'Content-Type: application/grpc' -H 'TE: trailers' --data-binary @- https://grpc.localhost:${https}/demo.Greeter/SayHello
${streams === null ? "" : streamGuide(streams)}
  # What Sluice makes of the manifests: the mistake in api.yaml, all rules, all numbers.
  curl 'http://${admin}/problems?format=text'
  curl http://${admin}/snapshot
  curl http://${admin}/metrics

Edit a file there and save it: the change is in force at once. Correct proxy-body-sise in api.yaml, for one.
Ctrl-C ends it.

`;
}

function streamGuide(port: number): string {
  return `
  # A line by TCP and a datagram by UDP, to a server that shouts them back.
  bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}; echo hello >&3; head -n 1 <&3'
  bash -c 'exec 3<>/dev/udp/127.0.0.1/${port}; echo hello >&3; head -n 1 <&3'
`;
}
