{{/* TCP and UDP services: their ConfigMaps, and the ports that they need. */}}

{{/* Every one, as a JSON list: protocol, port, name of its port. */}}
{{- define "sluice.streams" -}}
{{- $streams := list -}}
{{- range $protocol := list "tcp" "udp" -}}
{{- range $port, $target := get $.Values $protocol -}}
{{- $text := include "sluice.text" $port -}}
{{- $prefix := $.Values.portNamePrefix | empty | ternary "" (printf "%s-" $.Values.portNamePrefix) -}}
{{- $streams = append $streams (dict "protocol" $protocol "port" (int $text) "name" (printf "%s%s-%s" $prefix $text $protocol)) -}}
{{- end -}}
{{- end -}}
{{- toJson $streams -}}
{{- end -}}

{{/* Name of a ConfigMap: dict "context" $ "protocol" … */}}
{{- define "sluice.streamConfigMap" -}}
{{- printf "%s-%s" (include "sluice.fullname" .context | trunc 59 | trimSuffix "-") .protocol -}}
{{- end -}}

{{/* The lowest port that none but root may listen on without being asked; empty when there is none. */}}
{{- define "sluice.lowStreamPort" -}}
{{- $lowest := 1024 -}}
{{- range $stream := include "sluice.streams" . | fromJsonArray -}}
{{- $lowest = min $lowest (int $stream.port) -}}
{{- end -}}
{{- if lt (int $lowest) 1024 -}}{{- $lowest -}}{{- end -}}
{{- end -}}
