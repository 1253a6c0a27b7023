{{/* The Pod, the same for a Deployment and a DaemonSet. */}}

{{- define "sluice.image" -}}
{{- $image := .Values.controller.image -}}
{{- $registry := default .Values.global.image.registry $image.registry -}}
{{- $name := default (empty $registry | ternary $image.image (printf "%s/%s" $registry $image.image)) $image.repository -}}
{{- $tag := default .Chart.AppVersion (include "sluice.text" $image.tag) -}}
{{- $name }}:{{ $tag }}{{ with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- define "sluice.containerSecurityContext" -}}
{{- $image := .Values.controller.image -}}
{{- if .Values.controller.containerSecurityContext -}}
{{- toYaml .Values.controller.containerSecurityContext -}}
{{- else -}}
allowPrivilegeEscalation: {{ $image.allowPrivilegeEscalation }}
capabilities:
  drop:
    - ALL
readOnlyRootFilesystem: {{ $image.readOnlyRootFilesystem }}
runAsGroup: {{ int $image.runAsGroup }}
runAsNonRoot: {{ $image.runAsNonRoot }}
runAsUser: {{ int $image.runAsUser }}
seccompProfile:
  {{- toYaml $image.seccompProfile | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* A probe of the admin port: dict "probe" … "port" … */}}
{{- define "sluice.probe" -}}
{{- $probe := deepCopy .probe -}}
{{- with $probe.httpGet -}}
{{- $_ := set . "port" $.port -}}
{{- end -}}
{{- toYaml $probe -}}
{{- end -}}

{{/* An action of the user's takes the place of the sleep. */}}
{{- define "sluice.lifecycle" -}}
{{- $lifecycle := deepCopy (default dict .Values.controller.lifecycle) -}}
{{- $preStop := default dict $lifecycle.preStop -}}
{{- $own := omit $preStop "sleep" -}}
{{- $seconds := int (include "sluice.preStopSeconds" .) -}}
{{- $lifecycle = omit $lifecycle "preStop" -}}
{{- if $own -}}
{{- $_ := set $lifecycle "preStop" $own -}}
{{- else if gt $seconds 0 -}}
{{- $_ := set $lifecycle "preStop" (dict "sleep" (dict "seconds" $seconds)) -}}
{{- end -}}
{{- if $lifecycle -}}
{{- toYaml $lifecycle -}}
{{- end -}}
{{- end -}}

{{/* Without a selector of its own, a constraint means the Pods of one rollout. */}}
{{- define "sluice.topologySpread" -}}
{{- $constraints := list -}}
{{- range $constraint := include "sluice.rendered" (dict "value" .Values.controller.topologySpreadConstraints "context" .) | fromYamlArray -}}
{{- if not (hasKey $constraint "labelSelector") -}}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "sluice.selector" $ | fromYaml)) "matchLabelKeys" (list "pod-template-hash") -}}
{{- $constraint = merge $constraint $own -}}
{{- end -}}
{{- $constraints = append $constraints $constraint -}}
{{- end -}}
{{- if $constraints -}}
{{- toYaml $constraints -}}
{{- end -}}
{{- end -}}

{{- define "sluice.container" -}}
{{- $controller := .Values.controller -}}
{{- $hostPorts := $controller.hostPort -}}
name: {{ $controller.containerName }}
image: {{ include "sluice.image" . | quote }}
imagePullPolicy: {{ $controller.image.pullPolicy }}
args:
  {{- include "sluice.arguments" . | nindent 2 }}
env:
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: POD_NAMESPACE
    valueFrom:
      fieldRef:
        fieldPath: metadata.namespace
  {{- with $controller.extraEnvs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  {{- range $name := list "http" "https" }}
  - name: {{ $name }}
    containerPort: {{ int (get $controller.containerPort $name) }}
    protocol: TCP
    {{- if $hostPorts.enabled }}
    hostPort: {{ int (get $hostPorts.ports $name) }}
    {{- end }}
  {{- end }}
  - name: {{ $controller.metrics.portName }}
    containerPort: {{ int $controller.metrics.port }}
    protocol: TCP
  {{- range $stream := include "sluice.streams" . | fromJsonArray }}
  - name: {{ $stream.name }}
    containerPort: {{ int $stream.port }}
    protocol: {{ upper $stream.protocol }}
    {{- if $hostPorts.enabled }}
    hostPort: {{ int $stream.port }}
    {{- end }}
  {{- end }}
{{- with $controller.startupProbe }}
startupProbe:
  {{- include "sluice.probe" (dict "probe" . "port" $controller.metrics.portName) | nindent 2 }}
{{- end }}
livenessProbe:
  {{- include "sluice.probe" (dict "probe" $controller.livenessProbe "port" $controller.metrics.portName) | nindent 2 }}
readinessProbe:
  {{- include "sluice.probe" (dict "probe" $controller.readinessProbe "port" $controller.metrics.portName) | nindent 2 }}
{{- with include "sluice.lifecycle" . }}
lifecycle:
  {{- . | nindent 2 }}
{{- end }}
{{- with $controller.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $controller.resizePolicy }}
resizePolicy:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "sluice.containerSecurityContext" . | nindent 2 }}
{{- with $controller.extraVolumeMounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "sluice.podSecurityContext" -}}
{{- $context := deepCopy (default dict .Values.controller.podSecurityContext) -}}
{{- $sysctls := list -}}
{{- $low := include "sluice.lowStreamPort" . -}}
{{- $unprivileged := "net.ipv4.ip_unprivileged_port_start" -}}
{{- if and $low (not (hasKey .Values.controller.sysctls $unprivileged)) -}}
{{- $sysctls = append $sysctls (dict "name" $unprivileged "value" $low) -}}
{{- end -}}
{{- range $name, $value := .Values.controller.sysctls -}}
{{- $sysctls = append $sysctls (dict "name" $name "value" (include "sluice.text" $value)) -}}
{{- end -}}
{{- if $sysctls -}}
{{- $_ := set $context "sysctls" $sysctls -}}
{{- end -}}
{{- if $context -}}
{{- toYaml $context -}}
{{- end -}}
{{- end -}}

{{- define "sluice.podTemplate" -}}
{{- $controller := .Values.controller -}}
metadata:
  labels:
    {{- /* Without the chart's version: a new chart is no reason for new Pods. */}}
    {{- omit (include "sluice.labelsWith" (dict "context" . "labels" (list $controller.podLabels)) | fromYaml) "helm.sh/chart" | toYaml | nindent 4 }}
  {{- with $controller.podAnnotations }}
  annotations:
    {{- include "sluice.annotations" (dict "context" $ "annotations" .) | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "sluice.serviceAccount" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automountServiceAccountToken }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int $controller.terminationGracePeriodSeconds }}
  dnsPolicy: {{ $controller.dnsPolicy }}
  {{- with $controller.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $controller.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $controller.hostname }}
  hostname: {{ . | quote }}
  {{- end }}
  {{- if $controller.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- if $controller.shareProcessNamespace }}
  shareProcessNamespace: true
  {{- end }}
  {{- with $controller.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $controller.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "sluice.podSecurityContext" . }}
  securityContext:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with $controller.extraInitContainers }}
  initContainers:
    {{- include "sluice.rendered" (dict "value" . "context" $) | nindent 4 }}
  {{- end }}
  containers:
    - {{ include "sluice.container" . | nindent 6 | trim }}
    {{- with $controller.extraContainers }}
    {{- include "sluice.rendered" (dict "value" . "context" $) | nindent 4 }}
    {{- end }}
  {{- with $controller.extraVolumes }}
  volumes:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $controller.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $controller.affinity }}
  affinity:
    {{- include "sluice.rendered" (dict "value" . "context" $) | nindent 4 }}
  {{- end }}
  {{- with $controller.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if eq $controller.kind "Deployment" }}
  {{- with include "sluice.topologySpread" . }}
  topologySpreadConstraints:
    {{- . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end -}}
