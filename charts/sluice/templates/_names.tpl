{{/* What objects are called, where they lie and how they are labelled. */}}

{{- define "sluice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sluice.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sluice.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* With room for a suffix such as -internal. */}}
{{- define "sluice.controller" -}}
{{- printf "%s-%s" (include "sluice.fullname" .) .Values.controller.name | trunc 54 | trimSuffix "-" -}}
{{- end -}}

{{/* Of what is shared by all namespaces, where another installation may have the same name. */}}
{{- define "sluice.unique" -}}
{{- printf "%s-%s" (include "sluice.fullname" .) (include "sluice.namespace" .) | trunc 240 | trimSuffix "-" -}}
{{- end -}}

{{- define "sluice.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sluice.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sluice.lease" -}}
{{- default (printf "%s-leader" (include "sluice.fullname" .)) .Values.controller.electionID -}}
{{- end -}}

{{/* Of Pods; never changes for an installation, for the Deployment's selector may not. */}}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ include "sluice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{/* The labels of an object: dict "context" $ "labels" (list of maps). Nobody overrides those of the selector. */}}
{{- define "sluice.labelsWith" -}}
{{- $context := .context -}}
{{- $labels := include "sluice.selector" $context | fromYaml -}}
{{- range $more := .labels -}}
{{- $labels = merge $labels (default dict $more) -}}
{{- end -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/part-of" (include "sluice.name" $context)
  "app.kubernetes.io/managed-by" $context.Release.Service
  "app.kubernetes.io/version" $context.Chart.AppVersion
-}}
{{- merge $labels $context.Values.controller.labels $context.Values.commonLabels $own | toYaml -}}
{{- end -}}

{{- define "sluice.labels" -}}
{{- include "sluice.labelsWith" (dict "context" . "labels" list) -}}
{{- end -}}

{{/* Annotations whose values may be templates: dict "context" $ "annotations" … */}}
{{- define "sluice.annotations" -}}
{{- $context := .context -}}
{{- $annotations := dict -}}
{{- range $key, $value := .annotations -}}
{{- $_ := set $annotations $key (tpl (include "sluice.text" $value) $context) -}}
{{- end -}}
{{- toYaml $annotations -}}
{{- end -}}

{{/* A value that may hold templates, as YAML: dict "value" … "context" $ */}}
{{- define "sluice.rendered" -}}
{{- if kindIs "string" .value -}}
{{- tpl .value .context -}}
{{- else -}}
{{- tpl (toYaml .value) .context -}}
{{- end -}}
{{- end -}}

{{/* The text of a scalar. Numbers arrive as floating point, and 31536000 must not become 3.1536e+07. */}}
{{- define "sluice.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- printf "%.0f" . -}}
{{- else if kindIs "invalid" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}
