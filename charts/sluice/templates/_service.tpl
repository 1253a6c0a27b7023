{{/* The Services for clients: dict "context" $ "name" … "service" (its values, complete) "labels" (list of maps). */}}
{{- define "sluice.service" -}}
{{- $context := .context -}}
{{- $service := .service -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ include "sluice.namespace" $context }}
  labels:
    {{- include "sluice.labelsWith" (dict "context" $context "labels" .labels) | nindent 4 }}
  {{- with $service.annotations }}
  annotations:
    {{- include "sluice.annotations" (dict "context" $context "annotations" .) | nindent 4 }}
  {{- end }}
spec:
  type: {{ $service.type }}
  {{- range $field := list "clusterIP" "clusterIPs" "externalIPs" "externalTrafficPolicy" "internalTrafficPolicy" "ipFamilies" "ipFamilyPolicy" "sessionAffinity" "trafficDistribution" }}
  {{- with get $service $field }}
  {{ $field }}: {{ toJson . }}
  {{- end }}
  {{- end }}
  {{- if eq $service.type "LoadBalancer" }}
  {{- range $field := list "loadBalancerClass" "loadBalancerIP" "loadBalancerSourceRanges" }}
  {{- with get $service $field }}
  {{ $field }}: {{ toJson . }}
  {{- end }}
  {{- end }}
  {{- if kindIs "bool" $service.allocateLoadBalancerNodePorts }}
  allocateLoadBalancerNodePorts: {{ $service.allocateLoadBalancerNodePorts }}
  {{- end }}
  {{- with $service.healthCheckNodePort }}
  healthCheckNodePort: {{ int . }}
  {{- end }}
  {{- end }}
  selector:
    {{- include "sluice.selector" $context | nindent 4 }}
  ports:
    {{- range $name := .portNames }}
    - name: {{ $name }}
      port: {{ int (get $service.ports $name) }}
      targetPort: {{ include "sluice.text" (get $service.targetPorts $name) }}
      protocol: TCP
      {{- if $service.appProtocol }}
      appProtocol: {{ $name }}
      {{- end }}
      {{- if ne $service.type "ClusterIP" }}
      {{- with get $service.nodePorts $name }}
      nodePort: {{ int . }}
      {{- end }}
      {{- end }}
    {{- end }}
    {{- range $stream := include "sluice.streams" $context | fromJsonArray }}
    - name: {{ $stream.name }}
      port: {{ int $stream.port }}
      targetPort: {{ $stream.name }}
      protocol: {{ upper $stream.protocol }}
      {{- if ne $service.type "ClusterIP" }}
      {{- with get (get $service.nodePorts $stream.protocol) (toString (int $stream.port)) }}
      nodePort: {{ int . }}
      {{- end }}
      {{- end }}
    {{- end }}
{{- end -}}
