{{/* The rights of the controller. Each is used; a test compares them with an audit log of what is asked for. */}}

{{/* "true" unless the status of Ingresses is left alone. */}}
{{- define "sluice.writesStatus" -}}
{{- if ne (include "sluice.text" (get .Values.controller.extraArgs "update-status")) "false" -}}true{{- end -}}
{{- end -}}

{{/* What is read and written in every namespace that is served. */}}
{{- define "sluice.namespaceRules" -}}
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  {{- if include "sluice.writesStatus" . }}
  # One that has changed under a write of its status is read again.
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses/status]
  verbs: [patch]
  {{- else }}
  verbs: [list, watch]
  {{- end }}
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [secrets]
  {{- with .Values.rbac.secretNames }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* Beside the controller: its settings, its Lease, its replicas. */}}
{{- define "sluice.ownRules" -}}
- apiGroups: [""]
  resources: [configmaps]
  {{- $names := list (include "sluice.controller" .) -}}
  {{- range $protocol := list "tcp" "udp" -}}
  {{- if get $.Values $protocol -}}{{- $names = append $names (include "sluice.streamConfigMap" (dict "context" $ "protocol" $protocol)) -}}{{- end -}}
  {{- end }}
  resourceNames: [{{ join ", " $names }}]
  verbs: [list, watch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  # A name cannot be asked for where there is nothing of that name yet.
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "sluice.lease" . }}]
  verbs: [get, patch]
{{- if and (include "sluice.writesStatus" .) (ne (include "sluice.text" (get .Values.controller.extraArgs "update-status-on-shutdown")) "false") }}
- apiGroups: [""]
  resources: [pods]
  # Whether this replica is the last one, before it takes its addresses back.
  verbs: [get, list]
{{- end }}
{{- end -}}

{{/* What is read by its name outside of the namespaces that are served: a JSON object of lists of rules by namespace. */}}
{{- define "sluice.outsideRules" -}}
{{- $watched := include "sluice.watchedNamespaces" . | fromJsonArray -}}
{{- $arguments := .Values.controller.extraArgs -}}
{{- $rules := dict -}}
{{- range $resource, $references := dict
  "services" (list (include "sluice.publishService" .) (get $arguments "publish-service") (get $arguments "default-backend-service"))
  "secrets" (list (get $arguments "default-ssl-certificate"))
  "endpointslices" (list (get $arguments "default-backend-service"))
-}}
{{- range $reference := $references | compact | uniq -}}
{{- $namespace := $reference | replace "$(POD_NAMESPACE)" (include "sluice.namespace" $) | splitList "/" | first -}}
{{- $name := $reference | splitList "/" | last | splitList ":" | first -}}
{{- if and $watched (not (has $namespace $watched)) -}}
{{- $rule := dict "apiGroups" (list "") "resources" (list $resource) "resourceNames" (list $name) "verbs" (list "list" "watch") -}}
{{- if eq $resource "endpointslices" -}}
{{- $rule = dict "apiGroups" (list "discovery.k8s.io") "resources" (list $resource) "verbs" (list "list" "watch") -}}
{{- end -}}
{{- $_ := set $rules $namespace (append (default list (get $rules $namespace)) $rule) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $rules -}}
{{- end -}}

{{/* A role with its binding: dict "context" $ "kind" "Role" or "ClusterRole" "name" … "namespace" … "rules" (YAML). */}}
{{- define "sluice.role" -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "sluice.labels" .context | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "sluice.labels" .context | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "sluice.serviceAccount" .context }}
    namespace: {{ include "sluice.namespace" .context }}
{{ end -}}
