{{- define "inventory.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "inventory.selector" -}}
app.kubernetes.io/name: inventory
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "inventory.labels" -}}
{{ include "inventory.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "inventory.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "inventory.lockedDown" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The probe of the kubelet speaks no TLS and has no token, so the pod checks itself. */}}
{{- define "inventory.probe" -}}
{{- $values := .values }}
{{- if or $values.tls.secret (eq $values.health "token") }}
exec:
  command:
    - inventory-grpc
    - health
    - --server=127.0.0.1:50051
    {{- with .service }}
    - --service={{ . }}
    {{- end }}
    {{- if $values.probe.tlsSecret }}
    - --certificate=/probe/tls.crt
    - --key=/probe/tls.key
    {{- end }}
    {{- if $values.probe.tokenSecret }}
    - --token-file=/probe/token
    {{- end }}
{{- else }}
grpc:
  port: 50051
  service: {{ .service | quote }}
{{- end }}
timeoutSeconds: 5
{{- end }}
