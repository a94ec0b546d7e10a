<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
<context>
    <name></name>
    <message>
        <source>Hear</source>
        <translation>Hören</translation>
    </message>
    <message>
        <source>Change what you hear (A)</source>
        <translation>Umschalten, was Sie hören (A)</translation>
    </message>
    <message>
        <source>What you hear</source>
        <translation>Was Sie hören</translation>
    </message>
    <message>
        <source>Both arms cross the same link at the same time. Press A to switch.</source>
        <translation>Beide Wege gehen gleichzeitig über dieselbe Verbindung. A schaltet um.</translation>
    </message>
    <message>
        <source>Opus</source>
        <translation>Opus</translation>
    </message>
    <message>
        <source>Opus bit rate in kilobits a second</source>
        <translation>Bitrate von Opus in Kilobit je Sekunde</translation>
    </message>
    <message>
        <source>Opus frame in milliseconds</source>
        <translation>Rahmen von Opus in Millisekunden</translation>
    </message>
    <message>
        <source>For what you send: the other side hears the difference.</source>
        <translation>Für das, was Sie senden: Den Unterschied hört die andere Seite.</translation>
    </message>
    <message>
        <source>Bit rate, kbit/s</source>
        <translation>Bitrate, kbit/s</translation>
    </message>
    <message>
        <source>Frame, ms</source>
        <translation>Rahmen, ms</translation>
    </message>
    <message>
        <source>Blind test</source>
        <translation>Blindtest</translation>
    </message>
    <message>
        <source>Hear A, B and X without knowing which is which, and say what X is.</source>
        <translation>A, B und X hören, ohne zu wissen, was sie sind, und sagen, was X ist.</translation>
    </message>
    <message>
        <source>Start an ABX test …</source>
        <translation>ABX-Test beginnen …</translation>
    </message>
    <message>
        <source>Number of trials</source>
        <translation>Anzahl der Durchgänge</translation>
    </message>
    <message>
        <source>Begin</source>
        <translation>Beginnen</translation>
    </message>
    <message>
        <source>A is one arm, B the other, and X is one of the two. Listen as often as you like, then say which one X is. The call goes on meanwhile.</source>
        <translation>A ist der eine Weg, B der andere, und X ist einer der beiden. Hören Sie so oft Sie mögen und sagen Sie dann, welcher X ist. Das Gespräch geht dabei weiter.</translation>
    </message>
    <message>
        <source>Can you tell them apart?</source>
        <translation>Hören Sie den Unterschied?</translation>
    </message>
    <message>
        <source>Trials</source>
        <translation>Durchgänge</translation>
    </message>
    <message>
        <source>X is {0}</source>
        <translation>X ist {0}</translation>
    </message>
    <message>
        <source>Hear (keys A, X, B)</source>
        <translation>Hören (Tasten A, X, B)</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Trial {0} of {1}</source>
        <translation>Durchgang {0} von {1}</translation>
    </message>
    <message>
        <source>{0} of {1}</source>
        <translation>{0} von {1}</translation>
    </message>
    <message>
        <source>You hear a difference.</source>
        <translation>Sie hören einen Unterschied.</translation>
    </message>
    <message>
        <source>This may be guessing.</source>
        <translation>Das kann geraten sein.</translation>
    </message>
    <message>
        <source>p = {0} (exact binomial test). {1} A was {2}, B was {3}.</source>
        <translation>p = {0} (exakter Binomialtest). {1} A war {2}, B war {3}.</translation>
    </message>
    <message>
        <source>Saved as {0}</source>
        <translation>Gespeichert als {0}</translation>
    </message>
    <message>
        <source>The result cannot be saved ({0}): choose another folder for recordings.</source>
        <translation>Das Ergebnis lässt sich nicht speichern ({0}): Wählen Sie einen anderen Ordner für Aufnahmen.</translation>
    </message>
    <message>
        <source>No call</source>
        <translation>Kein Gespräch</translation>
    </message>
    <message>
        <source>{0} Press for details (D).</source>
        <translation>{0} Drücken für Einzelheiten (D).</translation>
    </message>
    <message>
        <source>Quality: {0}</source>
        <translation>Qualität: {0}</translation>
    </message>
    <message>
        <source>You hear a voice that this computer speaks from the phonemes that arrive.</source>
        <translation>Sie hören eine Stimme, die dieser Rechner aus den ankommenden Phonemen spricht.</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <source>Devices and settings</source>
        <translation>Geräte und Einstellungen</translation>
    </message>
    <message>
        <source>Calling …</source>
        <translation>Ruft an …</translation>
    </message>
    <message>
        <source>● Recording {0}</source>
        <translation>● Aufnahme {0}</translation>
    </message>
    <message>
        <source>● They may record</source>
        <translation>● Dort evtl. Aufnahme</translation>
    </message>
    <message>
        <source>An invite came by a link. Hang up first to use it.</source>
        <translation>Über einen Link kam eine Einladung. Legen Sie erst auf, um sie zu nutzen.</translation>
    </message>
    <message>
        <source>{0} – Sottovoce</source>
        <translation>{0} – Sottovoce</translation>
    </message>
    <message>
        <source>Nothing written yet</source>
        <translation>Noch nichts geschrieben</translation>
    </message>
    <message>
        <source>Messages</source>
        <translation>Nachrichten</translation>
    </message>
    <message>
        <source>Write to them</source>
        <translation>Nachricht schreiben</translation>
    </message>
    <message>
        <source>Message</source>
        <translation>Nachricht</translation>
    </message>
    <message>
        <source>Send</source>
        <translation>Senden</translation>
    </message>
    <message>
        <source>Chat</source>
        <translation>Chat</translation>
    </message>
    <message>
        <source>You</source>
        <translation>Sie</translation>
    </message>
    <message>
        <source>QR code of the link</source>
        <translation>QR-Code des Links</translation>
    </message>
    <message>
        <source>Copy code</source>
        <translation>Code kopieren</translation>
    </message>
    <message>
        <source>Copy link</source>
        <translation>Link kopieren</translation>
    </message>
    <message>
        <source>Making the code …</source>
        <translation>Der Code entsteht …</translation>
    </message>
    <message>
        <source>Copied</source>
        <translation>Kopiert</translation>
    </message>
    <message>
        <source>Capture</source>
        <translation>Aufnehmen</translation>
    </message>
    <message>
        <source>Recognise</source>
        <translation>Erkennen</translation>
    </message>
    <message>
        <source>Packetise</source>
        <translation>Packen</translation>
    </message>
    <message>
        <source>Network</source>
        <translation>Netz</translation>
    </message>
    <message>
        <source>Playout</source>
        <translation>Ausgabepuffer</translation>
    </message>
    <message>
        <source>Synthesise</source>
        <translation>Sprechen</translation>
    </message>
    <message>
        <source>Mouth to ear</source>
        <translation>Vom Mund zum Ohr</translation>
    </message>
    <message>
        <source>Opus, in all</source>
        <translation>Opus, gesamt</translation>
    </message>
    <message>
        <source>Compare</source>
        <translation>Vergleich</translation>
    </message>
    <message>
        <source>Link</source>
        <translation>Netz</translation>
    </message>
    <message>
        <source>Voice</source>
        <translation>Stimme</translation>
    </message>
    <message>
        <source>Details</source>
        <translation>Einzelheiten</translation>
    </message>
    <message>
        <source>Open the recording</source>
        <translation>Aufnahme öffnen</translation>
    </message>
    <message>
        <source>Open the report</source>
        <translation>Bericht öffnen</translation>
    </message>
    <message>
        <source>Done</source>
        <translation>Fertig</translation>
    </message>
    <message>
        <source>Call ended after {0}</source>
        <translation>Gespräch beendet nach {0}</translation>
    </message>
    <message>
        <source>The call did not come about.</source>
        <translation>Das Gespräch kam nicht zustande.</translation>
    </message>
    <message>
        <source>{0} phonemes came, {1} never did</source>
        <translation>{0} Phoneme kamen an, {1} nicht</translation>
    </message>
    <message>
        <source>Asking the network for an address …</source>
        <translation>Fragt das Netz nach einer Adresse …</translation>
    </message>
    <message>
        <source>Waiting for their answer.</source>
        <translation>Wartet auf die Antwort.</translation>
    </message>
    <message>
        <source>This invite came by a link. Join only whom you trust.</source>
        <translation>Diese Einladung kam über einen Link. Nehmen Sie nur an, wem Sie trauen.</translation>
    </message>
    <message>
        <source>Making your answer …</source>
        <translation>Ihre Antwort entsteht …</translation>
    </message>
    <message>
        <source>Ringing until they paste your answer.</source>
        <translation>Es klingelt, bis Ihre Antwort eingefügt wird.</translation>
    </message>
    <message>
        <source>Paste</source>
        <translation>Einfügen</translation>
    </message>
    <message>
        <source>Back</source>
        <translation>Zurück</translation>
    </message>
    <message>
        <source>Leave and go back (Esc)</source>
        <translation>Abbrechen und zurück (Esc)</translation>
    </message>
    <message>
        <source>Working</source>
        <translation>In Arbeit</translation>
    </message>
    <message>
        <source>Step {0}: {1}</source>
        <translation>Schritt {0}: {1}</translation>
    </message>
    <message>
        <source>The codes carry each side&apos;s certificate, so send them where nobody can change them: whoever swaps a code takes the call. A familiar voice proves little here.</source>
        <translation>Die Codes tragen das Zertifikat jeder Seite. Senden Sie sie so, dass niemand sie ändern kann: Wer einen Code tauscht, bekommt das Gespräch. Eine vertraute Stimme beweist hier wenig.</translation>
    </message>
    <message>
        <source>Invite</source>
        <translation>Einladen</translation>
    </message>
    <message>
        <source>Send them this code</source>
        <translation>Diesen Code senden</translation>
    </message>
    <message>
        <source>Your invite</source>
        <translation>Ihre Einladung</translation>
    </message>
    <message>
        <source>Paste the answer they send back</source>
        <translation>Die Antwort einfügen, die zurückkommt</translation>
    </message>
    <message>
        <source>Their answer</source>
        <translation>Die Antwort</translation>
    </message>
    <message>
        <source>Their answer code</source>
        <translation>Code der Antwort</translation>
    </message>
    <message>
        <source>Call</source>
        <translation>Anrufen</translation>
    </message>
    <message>
        <source>Join</source>
        <translation>Annehmen</translation>
    </message>
    <message>
        <source>Paste the code you were sent</source>
        <translation>Den erhaltenen Code einfügen</translation>
    </message>
    <message>
        <source>Their invite</source>
        <translation>Die Einladung</translation>
    </message>
    <message>
        <source>Their invite, or the link</source>
        <translation>Die Einladung oder der Link</translation>
    </message>
    <message>
        <source>Send this answer back to them</source>
        <translation>Diese Antwort zurücksenden</translation>
    </message>
    <message>
        <source>Your answer</source>
        <translation>Ihre Antwort</translation>
    </message>
    <message>
        <source>{0} (not connected)</source>
        <translation>{0} (nicht angeschlossen)</translation>
    </message>
    <message>
        <source>The system&apos;s default</source>
        <translation>Standard des Systems</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>, too loud</source>
        <translation>, zu laut</translation>
    </message>
    <message>
        <source>{0}: level {1}, peak {2}{3}</source>
        <translation>{0}: Pegel {1}, Spitze {2}{3}</translation>
    </message>
    <message>
        <source>As it is</source>
        <translation>Wie sie ist</translation>
    </message>
    <message>
        <source>Good Wi-Fi</source>
        <translation>Gutes WLAN</translation>
    </message>
    <message>
        <source>Train</source>
        <translation>Zug</translation>
    </message>
    <message>
        <source>Satellite</source>
        <translation>Satellit</translation>
    </message>
    <message>
        <source>Barely there</source>
        <translation>Kaum da</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>Make the link worse</source>
        <translation>Verbindung verschlechtern</translation>
    </message>
    <message>
        <source>Applied to everything you send, on both arms alike.</source>
        <translation>Gilt für alles, was Sie senden, auf beiden Wegen gleich.</translation>
    </message>
    <message>
        <source>Packets lost</source>
        <translation>Verlorene Pakete</translation>
    </message>
    <message>
        <source>Length of an outage</source>
        <translation>Dauer eines Ausfalls</translation>
    </message>
    <message>
        <source>Delay, one way</source>
        <translation>Verzögerung, einfach</translation>
    </message>
    <message>
        <source>Jitter</source>
        <translation>Jitter</translation>
    </message>
    <message>
        <source>Bottleneck</source>
        <translation>Engpass</translation>
    </message>
    <message>
        <source>The link is left as it is.</source>
        <translation>Die Verbindung bleibt, wie sie ist.</translation>
    </message>
    <message>
        <source>Bit rate</source>
        <translation>Bitrate</translation>
    </message>
    <message>
        <source>Received</source>
        <translation>Empfangen</translation>
    </message>
    <message>
        <source>Sent</source>
        <translation>Gesendet</translation>
    </message>
    <message>
        <source>Direction of the bit rates</source>
        <translation>Richtung der Bitraten</translation>
    </message>
    <message>
        <source>Bit rates over the last minute</source>
        <translation>Bitraten der letzten Minute</translation>
    </message>
    <message>
        <source>on the wire</source>
        <translation>im Netz</translation>
    </message>
    <message>
        <source>payload</source>
        <translation>Nutzlast</translation>
    </message>
    <message>
        <source>{0}: {1} on the wire, {2} payload</source>
        <translation>{0}: {1} im Netz, {2} Nutzlast</translation>
    </message>
    <message>
        <source>Intelligibility</source>
        <translation>Verständlichkeit</translation>
    </message>
    <message>
        <source>Phonemes recognised here, compared with those said, over the last ten seconds</source>
        <translation>Hier erkannte Phoneme im Vergleich mit den gesprochenen, über die letzten zehn Sekunden</translation>
    </message>
    <message>
        <source>Intelligibility over the last minute</source>
        <translation>Verständlichkeit der letzten Minute</translation>
    </message>
    <message>
        <source>Loss and jitter</source>
        <translation>Verlust und Jitter</translation>
    </message>
    <message>
        <source>Packets lost over the last minute</source>
        <translation>Verlorene Pakete der letzten Minute</translation>
    </message>
    <message>
        <source>Jitter over the last minute</source>
        <translation>Jitter der letzten Minute</translation>
    </message>
    <message>
        <source>Round trip {0}</source>
        <translation>Hin und zurück {0}</translation>
    </message>
    <message>
        <source>jitter {0}</source>
        <translation>Jitter {0}</translation>
    </message>
    <message>
        <source>Close this notice</source>
        <translation>Diesen Hinweis schließen</translation>
    </message>
    <message>
        <source>Agree</source>
        <translation>Zustimmen</translation>
    </message>
    <message>
        <source>Refuse</source>
        <translation>Ablehnen</translation>
    </message>
    <message>
        <source>{0} asks to record this call. Do you agree?</source>
        <translation>{0} möchte dieses Gespräch aufnehmen. Stimmen Sie zu?</translation>
    </message>
    <message>
        <source>Waiting for {0} to agree to a recording …</source>
        <translation>Wartet auf die Zustimmung von {0} zur Aufnahme …</translation>
    </message>
    <message>
        <source>Take back</source>
        <translation>Zurücknehmen</translation>
    </message>
    <message>
        <source>Silence so far</source>
        <translation>Bisher Stille</translation>
    </message>
    <message>
        <source>Nothing said yet</source>
        <translation>Noch nichts gesagt</translation>
    </message>
    <message>
        <source>heard</source>
        <translation>gehört</translation>
    </message>
    <message>
        <source>concealed</source>
        <translation>überbrückt</translation>
    </message>
    <message>
        <source>missing</source>
        <translation>fehlt</translation>
    </message>
    <message>
        <source>Legend: filled boxes were heard, hatched ones concealed, dashed ones are missing</source>
        <translation>Legende: gefüllte Kästchen wurden gehört, schraffierte überbrückt, gestrichelte fehlen</translation>
    </message>
    <message>
        <source>Sound</source>
        <translation>Ton</translation>
    </message>
    <message>
        <source>Save</source>
        <translation>Speichern</translation>
    </message>
    <message>
        <source>As the system</source>
        <translation>Wie das System</translation>
    </message>
    <message>
        <source>Light</source>
        <translation>Hell</translation>
    </message>
    <message>
        <source>Dark</source>
        <translation>Dunkel</translation>
    </message>
    <message>
        <source>Microphone open</source>
        <translation>Mikrofon offen</translation>
    </message>
    <message>
        <source>Push to talk: hold the key</source>
        <translation>Sprechtaste: halten</translation>
    </message>
    <message>
        <source>Push to talk: press to open, press to close</source>
        <translation>Sprechtaste: drücken zum Öffnen und Schließen</translation>
    </message>
    <message>
        <source>Push-to-talk key</source>
        <translation>Sprechtaste</translation>
    </message>
    <message>
        <source>Choose …</source>
        <translation>Wählen …</translation>
    </message>
    <message>
        <source>Folder for recordings</source>
        <translation>Ordner für Aufnahmen</translation>
    </message>
    <message>
        <source>Your name</source>
        <translation>Ihr Name</translation>
    </message>
    <message>
        <source>Language</source>
        <translation>Sprache</translation>
    </message>
    <message>
        <source>Colours</source>
        <translation>Farben</translation>
    </message>
    <message>
        <source>Talking</source>
        <translation>Sprechen</translation>
    </message>
    <message>
        <source>Cancel echo</source>
        <translation>Echo unterdrücken</translation>
    </message>
    <message>
        <source>Suppress noise</source>
        <translation>Rauschen unterdrücken</translation>
    </message>
    <message>
        <source>Control the level</source>
        <translation>Pegel regeln</translation>
    </message>
    <message>
        <source>None: the fewest bits</source>
        <translation>Keine: am wenigsten Bits</translation>
    </message>
    <message>
        <source>One</source>
        <translation>Eine</translation>
    </message>
    <message>
        <source>Two</source>
        <translation>Zwei</translation>
    </message>
    <message>
        <source>Three</source>
        <translation>Drei</translation>
    </message>
    <message>
        <source>Four: the closest to you</source>
        <translation>Vier: Ihnen am ähnlichsten</translation>
    </message>
    <message>
        <source>Microphone</source>
        <translation>Mikrofon</translation>
    </message>
    <message>
        <source>Loudspeaker</source>
        <translation>Lautsprecher</translation>
    </message>
    <message>
        <source>Hear first</source>
        <translation>Zuerst hören</translation>
    </message>
    <message>
        <source>Articulation layers sent</source>
        <translation>Gesendete Artikulationsschichten</translation>
    </message>
    <message>
        <source>Applies from the next call.</source>
        <translation>Gilt ab dem nächsten Gespräch.</translation>
    </message>
    <message>
        <source>One a line.</source>
        <translation>Einer je Zeile.</translation>
    </message>
    <message>
        <source>STUN servers</source>
        <translation>STUN-Server</translation>
    </message>
    <message>
        <source>TURN servers</source>
        <translation>TURN-Server</translation>
    </message>
    <message>
        <source>Changes to the network apply from the next call.</source>
        <translation>Änderungen am Netz gelten ab dem nächsten Gespräch.</translation>
    </message>
    <message>
        <source>Check my sound</source>
        <translation>Ton prüfen</translation>
    </message>
    <message>
        <source>Next</source>
        <translation>Weiter</translation>
    </message>
    <message>
        <source>Play a tone</source>
        <translation>Ton abspielen</translation>
    </message>
    <message>
        <source>Who are you, and what do you talk with?</source>
        <translation>Wer sind Sie, und womit sprechen Sie?</translation>
    </message>
    <message>
        <source>Your microphone</source>
        <translation>Ihr Mikrofon</translation>
    </message>
    <message>
        <source>Say something</source>
        <translation>Sagen Sie etwas</translation>
    </message>
    <message>
        <source>Talk as you would on the telephone.</source>
        <translation>Sprechen Sie wie am Telefon.</translation>
    </message>
    <message>
        <source>Record three seconds</source>
        <translation>Drei Sekunden aufnehmen</translation>
    </message>
    <message>
        <source>Recording</source>
        <translation>Aufnahme</translation>
    </message>
    <message>
        <source>Hear yourself</source>
        <translation>Sich selbst hören</translation>
    </message>
    <message>
        <source>Hear yourself as they will</source>
        <translation>So klingen Sie drüben</translation>
    </message>
    <message>
        <source>Nothing of this is kept.</source>
        <translation>Nichts davon wird behalten.</translation>
    </message>
    <message>
        <source>Finish</source>
        <translation>Fertig</translation>
    </message>
    <message>
        <source>Step {0} of {1}</source>
        <translation>Schritt {0} von {1}</translation>
    </message>
    <message>
        <source>No sound devices were found here. Plug one in, or go on without.</source>
        <translation>Hier wurden keine Tongeräte gefunden. Schließen Sie eines an, oder machen Sie ohne weiter.</translation>
    </message>
    <message>
        <source>Too loud: move away, or turn the microphone down.</source>
        <translation>Zu laut: Gehen Sie weiter weg, oder stellen Sie das Mikrofon leiser.</translation>
    </message>
    <message>
        <source>Hardly anything arrives: move closer, or choose another microphone.</source>
        <translation>Es kommt kaum etwas an: Gehen Sie näher heran, oder wählen Sie ein anderes Mikrofon.</translation>
    </message>
    <message>
        <source>That is a good level.</source>
        <translation>Das ist ein guter Pegel.</translation>
    </message>
    <message>
        <source>Speaking it again …</source>
        <translation>Wird neu gesprochen …</translation>
    </message>
    <message>
        <source>This is a synthetic voice.</source>
        <translation>Das ist eine künstliche Stimme.</translation>
    </message>
    <message>
        <source>Spectrogram of what you hear, 0 to 4 kilohertz</source>
        <translation>Spektrogramm dessen, was Sie hören, 0 bis 4 Kilohertz</translation>
    </message>
    <message>
        <source>Hidden during a blind test</source>
        <translation>Während eines Blindtests verborgen</translation>
    </message>
    <message>
        <source>4 kHz</source>
        <translation>4 kHz</translation>
    </message>
    <message>
        <source>0</source>
        <translation>0</translation>
    </message>
    <message>
        <source>Phonemes of the other side</source>
        <translation>Phoneme der Gegenseite</translation>
    </message>
    <message>
        <source>Your phonemes</source>
        <translation>Ihre Phoneme</translation>
    </message>
    <message>
        <source>Them</source>
        <translation>Gegenüber</translation>
    </message>
    <message>
        <source>A blind test is on</source>
        <translation>Ein Blindtest läuft</translation>
    </message>
    <message>
        <source>Heard: {0}</source>
        <translation>Gehört: {0}</translation>
    </message>
    <message>
        <source>Sottovoce</source>
        <translation>Sottovoce</translation>
    </message>
    <message>
        <source>Speech for links that cannot carry a telephone call.</source>
        <translation>Sprache, wo kein Telefongespräch mehr durchkommt.</translation>
    </message>
    <message>
        <source>Join with the invite on your clipboard</source>
        <translation>Einladung aus der Zwischenablage annehmen</translation>
    </message>
    <message>
        <source>How others see you</source>
        <translation>Wie andere Sie sehen</translation>
    </message>
    <message>
        <source>Make a code to send</source>
        <translation>Code zum Senden machen</translation>
    </message>
    <message>
        <source>Called lately</source>
        <translation>Zuletzt gesprochen</translation>
    </message>
    <message>
        <source>Voice lab</source>
        <translation>Stimmlabor</translation>
    </message>
    <message>
        <source>Invite {0} again</source>
        <translation>{0} wieder einladen</translation>
    </message>
    <message>
        <source>Mute</source>
        <translation>Stumm</translation>
    </message>
    <message>
        <source>Mute your microphone (M)</source>
        <translation>Ihr Mikrofon stummschalten (M)</translation>
    </message>
    <message>
        <source>Push to talk</source>
        <translation>Sprechtaste</translation>
    </message>
    <message>
        <source>Volume</source>
        <translation>Lautstärke</translation>
    </message>
    <message>
        <source>Record</source>
        <translation>Aufnehmen</translation>
    </message>
    <message>
        <source>Record the call; the other side must agree (R)</source>
        <translation>Gespräch aufnehmen; die Gegenseite muss zustimmen (R)</translation>
    </message>
    <message>
        <source>Hang up</source>
        <translation>Auflegen</translation>
    </message>
    <message>
        <source>End the call (Ctrl+H)</source>
        <translation>Gespräch beenden (Strg+H)</translation>
    </message>
    <message>
        <source>Hear (A)</source>
        <translation>Hören (A)</translation>
    </message>
    <message>
        <source>Unmute</source>
        <translation>Laut</translation>
    </message>
    <message>
        <source>Microphone open only while {0} is pressed (P)</source>
        <translation>Mikrofon nur offen, solange {0} gedrückt ist (P)</translation>
    </message>
    <message>
        <source>Asking …</source>
        <translation>Fragt …</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>Beenden</translation>
    </message>
    <message>
        <source>Too loud</source>
        <translation>Zu laut</translation>
    </message>
    <message>
        <source>Muted</source>
        <translation>Stumm</translation>
    </message>
    <message>
        <source>Something went wrong ({0}). The log says more.</source>
        <translation>Etwas ging schief ({0}). Das Protokoll sagt mehr.</translation>
    </message>
    <message>
        <source>−60 s</source>
        <translation>−60 s</translation>
    </message>
    <message>
        <source>−30 s</source>
        <translation>−30 s</translation>
    </message>
    <message>
        <source>now</source>
        <translation>jetzt</translation>
    </message>
    <message>
        <source>Unnamed</source>
        <translation>Ohne Namen</translation>
    </message>
    <message>
        <source>{0} bit/s</source>
        <translation>{0} bit/s</translation>
    </message>
    <message>
        <source>{0} kbit/s</source>
        <translation>{0} kbit/s</translation>
    </message>
    <message>
        <source>{0} ms</source>
        <translation>{0} ms</translation>
    </message>
    <message>
        <source>silent</source>
        <translation>still</translation>
    </message>
    <message>
        <source>{0} dB</source>
        <translation>{0} dB</translation>
    </message>
    <message>
        <source>Phonemes</source>
        <translation>Phoneme</translation>
    </message>
    <message>
        <source>Ready</source>
        <translation>Bereit</translation>
    </message>
    <message>
        <source>Waiting for an answer</source>
        <translation>Wartet auf eine Antwort</translation>
    </message>
    <message>
        <source>Connecting …</source>
        <translation>Verbindet …</translation>
    </message>
    <message>
        <source>Greeting the other side …</source>
        <translation>Begrüßt die Gegenseite …</translation>
    </message>
    <message>
        <source>In a call</source>
        <translation>Im Gespräch</translation>
    </message>
    <message>
        <source>Link lost, reconnecting …</source>
        <translation>Verbindung weg, verbindet neu …</translation>
    </message>
    <message>
        <source>Call ended</source>
        <translation>Gespräch beendet</translation>
    </message>
    <message>
        <source>Lost</source>
        <translation>Weg</translation>
    </message>
    <message>
        <source>The link is gone; it is being made again.</source>
        <translation>Die Verbindung ist weg; sie wird neu aufgebaut.</translation>
    </message>
    <message>
        <source>A blind test is on.</source>
        <translation>Ein Blindtest läuft.</translation>
    </message>
    <message>
        <source>Quiet</source>
        <translation>Still</translation>
    </message>
    <message>
        <source>They have said nothing yet.</source>
        <translation>Dort wurde noch nichts gesagt.</translation>
    </message>
    <message>
        <source>Poor</source>
        <translation>Schlecht</translation>
    </message>
    <message>
        <source>Less than half of what is said is understood.</source>
        <translation>Weniger als die Hälfte des Gesagten ist zu verstehen.</translation>
    </message>
    <message>
        <source>Their computer is too busy to recognise speech.</source>
        <translation>Der andere Rechner ist zu beschäftigt, um Sprache zu erkennen.</translation>
    </message>
    <message>
        <source>Words arrive so late that talking is hard.</source>
        <translation>Worte kommen so spät, dass ein Gespräch schwerfällt.</translation>
    </message>
    <message>
        <source>Fair</source>
        <translation>Mäßig</translation>
    </message>
    <message>
        <source>Some words are hard to understand.</source>
        <translation>Manche Worte sind schwer zu verstehen.</translation>
    </message>
    <message>
        <source>Words arrive late.</source>
        <translation>Worte kommen spät an.</translation>
    </message>
    <message>
        <source>Many packets are lost.</source>
        <translation>Viele Pakete gehen verloren.</translation>
    </message>
    <message>
        <source>Good</source>
        <translation>Gut</translation>
    </message>
    <message>
        <source>Words arrive well.</source>
        <translation>Worte kommen gut an.</translation>
    </message>
    <message>
        <source>Synthetic voice may be heard</source>
        <translation>Künstliche Stimme möglich</translation>
    </message>
    <message>
        <source>Synthetic voice</source>
        <translation>Künstliche Stimme</translation>
    </message>
    <message>
        <source>A recording or a .sotto file</source>
        <translation>Eine Aufnahme oder eine .sotto-Datei</translation>
    </message>
    <message>
        <source>What is said</source>
        <translation>Was gesagt wird</translation>
    </message>
    <message>
        <source>The other voice</source>
        <translation>Die andere Stimme</translation>
    </message>
    <message>
        <source>Way to the other voice</source>
        <translation>Weg zur anderen Stimme</translation>
    </message>
    <message>
        <source>Speak</source>
        <translation>Sprechen</translation>
    </message>
    <message>
        <source>Save …</source>
        <translation>Speichern …</translation>
    </message>
    <message>
        <source>The talker&apos;s own</source>
        <translation>Eigene des Sprechers</translation>
    </message>
    <message>
        <source>The other&apos;s</source>
        <translation>Die andere</translation>
    </message>
    <message>
        <source>A voice between two</source>
        <translation>Eine Stimme zwischen zweien</translation>
    </message>
    <message>
        <source>What you hear and save here is a synthetic voice.</source>
        <translation>Was Sie hier hören und speichern, ist eine künstliche Stimme.</translation>
    </message>
    <message>
        <source>Choose a recording of what is to be said.</source>
        <translation>Wählen Sie eine Aufnahme dessen, was gesagt werden soll.</translation>
    </message>
    <message>
        <source>Your voice, as sent</source>
        <translation>Ihre Stimme, wie gesendet</translation>
    </message>
    <message>
        <source>Similarity of the voice sent to your voice</source>
        <translation>Ähnlichkeit der gesendeten mit Ihrer Stimme</translation>
    </message>
    <message>
        <source>alike your live voice</source>
        <translation>ähnlich Ihrer Stimme</translation>
    </message>
    <message>
        <source>Descriptor sent</source>
        <translation>Stimmprofil gesendet</translation>
    </message>
    <message>
        <source>Updates sent</source>
        <translation>Verbesserungen gesendet</translation>
    </message>
    <message>
        <source>Adaptation steps</source>
        <translation>Anpassungsschritte</translation>
    </message>
    <message>
        <source>Mean pitch</source>
        <translation>Mittlere Tonhöhe</translation>
    </message>
    <message>
        <source>Their voice, as received</source>
        <translation>Die andere Stimme, empfangen</translation>
    </message>
    <message>
        <source>Descriptor received</source>
        <translation>Stimmprofil empfangen</translation>
    </message>
    <message>
        <source>Updates received</source>
        <translation>Verbesserungen empfangen</translation>
    </message>
    <message>
        <source>Never arrived</source>
        <translation>Nie angekommen</translation>
    </message>
    <message>
        <source>Concealed</source>
        <translation>Überbrückt</translation>
    </message>
    <message>
        <source>Repeated in each packet</source>
        <translation>In jedem Paket wiederholt</translation>
    </message>
    <message>
        <source>Articulation layers</source>
        <translation>Artikulationsschichten</translation>
    </message>
    <message>
        <source>Both voices are held in memory only and wiped at hang-up. Do not trust a voice alone: voices can be cloned.</source>
        <translation>Beide Stimmen liegen nur im Arbeitsspeicher und werden beim Auflegen gelöscht. Trauen Sie keiner Stimme allein: Stimmen lassen sich nachmachen.</translation>
    </message>
    <message>
        <source>{0} bits</source>
        <translation>{0} Bit</translation>
    </message>
    <message>
        <source>{0} Hz</source>
        <translation>{0} Hz</translation>
    </message>
    <message>
        <source>They wrote: {0}</source>
        <translation>Nachricht: {0}</translation>
    </message>
</context>
<context>
    <name>Outside</name>
    <message>
        <source>The connection was lost; trying to get it back.</source>
        <translation>Die Verbindung ging verloren; sie wird wieder aufgebaut.</translation>
    </message>
    <message>
        <source>The other side has other models; voices may sound odd.</source>
        <translation>Die Gegenseite hat andere Modelle; Stimmen können seltsam klingen.</translation>
    </message>
    <message>
        <source>The other side hung up.</source>
        <translation>Die Gegenseite hat aufgelegt.</translation>
    </message>
    <message>
        <source>The other side has another version; update both and call again.</source>
        <translation>Die Gegenseite hat eine andere Version; erneuern Sie beide und rufen Sie wieder an.</translation>
    </message>
    <message>
        <source>The other side is in another call.</source>
        <translation>Die Gegenseite ist in einem anderen Gespräch.</translation>
    </message>
    <message>
        <source>The connection failed.</source>
        <translation>Die Verbindung ist gescheitert.</translation>
    </message>
    <message>
        <source>The call cannot go on ({0}): call again; the log says more.</source>
        <translation>Das Gespräch kann nicht weitergehen ({0}): Rufen Sie neu an; das Protokoll sagt mehr.</translation>
    </message>
    <message>
        <source>{0} speaks version {1} of the speech stream, this program version {2}: update the other side, then call again.</source>
        <translation>{0} spricht Version {1} des Sprachstroms, dieses Programm Version {2}: Erneuern Sie die Gegenseite und rufen Sie wieder an.</translation>
    </message>
    <message>
        <source>{0} speaks version {1} of the speech stream, this program version {2}: update this one, then call again.</source>
        <translation>{0} spricht Version {1} des Sprachstroms, dieses Programm Version {2}: Erneuern Sie dieses hier und rufen Sie wieder an.</translation>
    </message>
    <message>
        <source>The recording stopped ({0}); the call goes on.</source>
        <translation>Die Aufnahme brach ab ({0}); das Gespräch geht weiter.</translation>
    </message>
    <message>
        <source>The other side stopped the recording.</source>
        <translation>Die andere Seite hat die Aufnahme beendet.</translation>
    </message>
    <message>
        <source>The other side did not agree to a recording.</source>
        <translation>Die andere Seite hat der Aufnahme nicht zugestimmt.</translation>
    </message>
    <message>
        <source>The recording cannot be written to {0} ({1}): choose another folder.</source>
        <translation>Die Aufnahme lässt sich nicht nach {0} schreiben ({1}): Wählen Sie einen anderen Ordner.</translation>
    </message>
    <message>
        <source>The sound device {0} cannot be opened ({1}): choose another one.</source>
        <translation>Das Tongerät {0} lässt sich nicht öffnen ({1}): Wählen Sie ein anderes.</translation>
    </message>
    <message>
        <source>The microphone {0} gives no sound at all: switch it on, or allow this program to use it.</source>
        <translation>Das Mikrofon {0} gibt gar keinen Ton: schalten Sie es ein, oder erlauben Sie diesem Programm, es zu benutzen.</translation>
    </message>
    <message>
        <source>Sound devices need PortAudio: install libportaudio2, or call with --mic FILE.wav.</source>
        <translation>Tongeräte brauchen PortAudio: Installieren Sie libportaudio2, oder rufen Sie mit --mic DATEI.wav an.</translation>
    </message>
    <message>
        <source>There is no invite to answer: create one first.</source>
        <translation>Es gibt keine Einladung zu beantworten: Machen Sie erst eine.</translation>
    </message>
    <message>
        <source>This call was started already: hang up first.</source>
        <translation>Dieses Gespräch hat schon begonnen: Legen Sie erst auf.</translation>
    </message>
    <message>
        <source>This machine has no network address: connect it to a network.</source>
        <translation>Dieser Rechner hat keine Netzadresse: Verbinden Sie ihn mit einem Netz.</translation>
    </message>
    <message>
        <source>The call was ended before it began.</source>
        <translation>Das Gespräch wurde beendet, bevor es begann.</translation>
    </message>
    <message>
        <source>The network cannot be used ({0}): check the connection.</source>
        <translation>Das Netz lässt sich nicht nutzen ({0}): Prüfen Sie die Verbindung.</translation>
    </message>
    <message>
        <source>The other end cannot be reached; check both networks, or set a TURN server.</source>
        <translation>Die Gegenseite ist nicht zu erreichen; prüfen Sie beide Netze, oder geben Sie einen TURN-Server an.</translation>
    </message>
    <message>
        <source>The connection was lost and did not come back; call again.</source>
        <translation>Die Verbindung ging verloren und kam nicht wieder; rufen Sie noch einmal an.</translation>
    </message>
    <message>
        <source>The other end is not the one the invite was made by: its certificate does not match. Do not trust this connection; make a new invite.</source>
        <translation>Die Gegenseite ist nicht die, von der die Einladung stammt: Ihr Zertifikat passt nicht. Trauen Sie dieser Verbindung nicht; machen Sie eine neue Einladung.</translation>
    </message>
    <message>
        <source>{0} is not a server address; write it like {1}:example.org:3478.</source>
        <translation>{0} ist keine Serveradresse; schreiben Sie sie wie {1}:example.org:3478.</translation>
    </message>
    <message>
        <source>This is too long to be an invite; paste the code alone.</source>
        <translation>Das ist zu lang für eine Einladung; fügen Sie nur den Code ein.</translation>
    </message>
    <message>
        <source>There is no invite here; paste the code you were sent.</source>
        <translation>Hier ist keine Einladung; fügen Sie den erhaltenen Code ein.</translation>
    </message>
    <message>
        <source>This is not an invite; paste the whole code and nothing else.</source>
        <translation>Das ist keine Einladung; fügen Sie den ganzen Code ein und nichts sonst.</translation>
    </message>
    <message>
        <source>This is too long to be an answer; paste the code alone.</source>
        <translation>Das ist zu lang für eine Antwort; fügen Sie nur den Code ein.</translation>
    </message>
    <message>
        <source>There is no answer here; paste the code you were sent.</source>
        <translation>Hier ist keine Antwort; fügen Sie den erhaltenen Code ein.</translation>
    </message>
    <message>
        <source>This is not an answer; paste the whole code and nothing else.</source>
        <translation>Das ist keine Antwort; fügen Sie den ganzen Code ein und nichts sonst.</translation>
    </message>
    <message>
        <source>A part of the code is missing or mistyped; copy it once more, from start to end.</source>
        <translation>Ein Teil des Codes fehlt oder ist vertippt; kopieren Sie ihn noch einmal, von Anfang bis Ende.</translation>
    </message>
    <message>
        <source>This code is damaged or comes from another version of Sottovoce; copy it once more, and update both ends if that does not help.</source>
        <translation>Dieser Code ist beschädigt oder kommt von einer anderen Version von Sottovoce; kopieren Sie ihn noch einmal, und erneuern Sie beide Seiten, wenn das nicht hilft.</translation>
    </message>
    <message>
        <source>The code is damaged, a character of it is missing or wrong; copy it once more.</source>
        <translation>Der Code ist beschädigt, ein Zeichen fehlt oder ist falsch; kopieren Sie ihn noch einmal.</translation>
    </message>
    <message>
        <source>This is an answer; an invite is wanted here. Ask the caller for the invite.</source>
        <translation>Das ist eine Antwort; hier gehört eine Einladung hin. Bitten Sie den Anrufer um die Einladung.</translation>
    </message>
    <message>
        <source>This is an invite; the answer to yours is wanted here. Ask for the answer.</source>
        <translation>Das ist eine Einladung; hier gehört die Antwort auf Ihre hin. Bitten Sie um die Antwort.</translation>
    </message>
    <message>
        <source>This answer belongs to another invite; send this call&apos;s invite and ask for its answer.</source>
        <translation>Diese Antwort gehört zu einer anderen Einladung; senden Sie die Einladung dieses Gesprächs und bitten Sie um deren Antwort.</translation>
    </message>
    <message>
        <source>The invite names no address; its sender has no network, or needs a TURN server.</source>
        <translation>Die Einladung nennt keine Adresse; wer sie sandte, hat kein Netz oder braucht einen TURN-Server.</translation>
    </message>
    <message>
        <source>Settings cannot be saved to {0} ({1}): check the folder&apos;s permissions.</source>
        <translation>Einstellungen lassen sich nicht in {0} speichern ({1}): Prüfen Sie die Rechte des Ordners.</translation>
    </message>
    <message>
        <source>Cannot read {0} ({1}): choose a .sotto file.</source>
        <translation>{0} lässt sich nicht lesen ({1}): Wählen Sie eine .sotto-Datei.</translation>
    </message>
    <message>
        <source>This is no .sotto file: choose one that `sottovoce encode` wrote.</source>
        <translation>Das ist keine .sotto-Datei: Wählen Sie eine, die `sottovoce encode` schrieb.</translation>
    </message>
    <message>
        <source>This .sotto file is damaged: get a fresh copy or encode it again.</source>
        <translation>Diese .sotto-Datei ist beschädigt: Holen Sie eine frische Kopie, oder kodieren Sie neu.</translation>
    </message>
    <message>
        <source>{0} cannot be written ({1}): choose another place.</source>
        <translation>{0} lässt sich nicht schreiben ({1}): Wählen Sie einen anderen Ort.</translation>
    </message>
    <message>
        <source>The folder {0} does not exist: create it first.</source>
        <translation>Den Ordner {0} gibt es nicht: Legen Sie ihn erst an.</translation>
    </message>
    <message>
        <source>{0} % loss</source>
        <translation>{0} % Verlust</translation>
    </message>
    <message>
        <source>{0} % loss in bursts of {1} ms</source>
        <translation>{0} % Verlust in Schüben von {1} ms</translation>
    </message>
    <message>
        <source>reordering</source>
        <translation>Vertauschungen</translation>
    </message>
</context>
</TS>
