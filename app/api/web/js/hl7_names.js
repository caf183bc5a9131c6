// What segments and their fields are called (HL7 2.3.1, chapters 2 to 4; ERR as of 2.5).

export const SEGMENTS = {
  MSH: 'Message header', PID: 'Patient identification', PV1: 'Patient visit', ORC: 'Common order',
  OBR: 'Observation request', ZDS: 'Study instance UID', MSA: 'Message acknowledgment', ERR: 'Error',
}

const names = (text) => text.split('|').map((name) => name.trim())

export const FIELDS = {
  MSH: names(`Field separator|Encoding characters|Sending application|Sending facility|Receiving application|
    Receiving facility|Date/time of message|Security|Message type|Message control ID|Processing ID|Version ID|
    Sequence number|Continuation pointer|Accept acknowledgment type|Application acknowledgment type|Country code|
    Character set|Principal language of message|Alternate character set handling scheme`),
  PID: names(`Set ID|Patient ID|Patient identifier list|Alternate patient ID|Patient name|Mother's maiden name|
    Date/time of birth|Sex|Patient alias|Race|Patient address|County code|Phone number, home|Phone number, business|
    Primary language|Marital status|Religion|Patient account number|SSN number|Driver's license number|
    Mother's identifier|Ethnic group|Birth place|Multiple birth indicator|Birth order|Citizenship|
    Veterans military status|Nationality|Patient death date and time|Patient death indicator`),
  PV1: names(`Set ID|Patient class|Assigned patient location|Admission type|Preadmit number|Prior patient location|
    Attending doctor|Referring doctor|Consulting doctor|Hospital service|Temporary location|Preadmit test indicator|
    Readmission indicator|Admit source|Ambulatory status|VIP indicator|Admitting doctor|Patient type|Visit number|
    Financial class|Charge price indicator|Courtesy code|Credit rating|Contract code|Contract effective date|
    Contract amount|Contract period|Interest code|Transfer to bad debt code|Transfer to bad debt date|
    Bad debt agency code|Bad debt transfer amount|Bad debt recovery amount|Delete account indicator|
    Delete account date|Discharge disposition|Discharged to location|Diet type|Servicing facility|Bed status|
    Account status|Pending location|Prior temporary location|Admit date/time|Discharge date/time|
    Current patient balance|Total charges|Total adjustments|Total payments|Alternate visit ID|Visit indicator|
    Other healthcare provider`),
  ORC: names(`Order control|Placer order number|Filler order number|Placer group number|Order status|Response flag|
    Quantity/timing|Parent|Date/time of transaction|Entered by|Verified by|Ordering provider|Enterer's location|
    Call back phone number|Order effective date/time|Order control code reason|Entering organization|
    Entering device|Action by`),
  OBR: names(`Set ID|Placer order number|Filler order number|Universal service identifier|Priority|
    Requested date/time|Observation date/time|Observation end date/time|Collection volume|Collector identifier|
    Specimen action code|Danger code|Relevant clinical information|Specimen received date/time|Specimen source|
    Ordering provider|Order callback phone number|Placer field 1|Placer field 2|Filler field 1|Filler field 2|
    Results report/status change|Charge to practice|Diagnostic service section ID|Result status|Parent result|
    Quantity/timing|Result copies to|Parent|Transportation mode|Reason for study|Principal result interpreter|
    Assistant result interpreter|Technician|Transcriptionist|Scheduled date/time|Number of sample containers|
    Transport logistics of collected sample|Collector's comment|Transport arrangement responsibility|
    Transport arranged|Escort required|Planned patient transport comment|Procedure code|Procedure code modifier`),
  ZDS: names('Study instance UID'),
  MSA: names(`Acknowledgment code|Message control ID|Text message|Expected sequence number|
    Delayed acknowledgment type|Error condition`),
  ERR: names(`Error code and location|Error location|HL7 error code|Severity|Application error code|
    Application error parameter|Diagnostic information|User message`),
}
