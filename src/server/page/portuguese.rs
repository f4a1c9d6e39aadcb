//! The texts of the pages, in Brazilian Portuguese.

use super::{Saying, Words};

pub(super) fn words(saying: &Saying<'_>) -> Words {
    match saying {
        Saying::NoLinkToReconnect => Words::new(
            "Link inválido",
            "Este link não vale, ou não vale mais. Use o link da mensagem mais recente, ou o painel do gateway.",
        ),
        Saying::NoLinkToAcknowledge => Words::new(
            "Link inválido",
            "Este link não vale, ou não vale mais. Este comando faz o mesmo: linedown ack",
        ),
        Saying::WrongMethod => Words::new("Assim não", "Abra o link em um navegador e aperte o botão da página."),
        Saying::NotNow => Words::new("Agora não deu", "Não foi possível. Tente de novo em instantes."),
        Saying::Prepare { line } => Words {
            heading: "Reconectar a linha",
            text: format!("{line} precisa entrar de novo."),
            steps: vec![
                format!("Pegue o celular de {line} e abra o WhatsApp nele."),
                "Toque em “Dispositivos conectados” e em “Conectar dispositivo”.".to_owned(),
                "Com esta página aberta em outra tela, aperte o botão e aponte o celular para o código.".to_owned(),
            ],
            button: "Mostrar o código",
        },
        Saying::Code { line, number, of } => Words {
            heading: "Leia este código",
            text: format!("Com o celular de {line}. Código {number} de {of}; o próximo aparece sozinho."),
            steps: vec![
                "Abra o WhatsApp, “Dispositivos conectados”, “Conectar dispositivo”.".to_owned(),
                "Aponte o celular para o código.".to_owned(),
            ],
            button: "",
        },
        Saying::RanOut { line, of } => Words::new(
            "Ainda sem conexão",
            format!(
                "{of} códigos foram mostrados e {line} ainda não conectou. Se você acabou de ler um, espere um momento e \
                 mostre outro para ver se deu certo."
            ),
        )
        .button("Mostrar outro código"),
        Saying::RanOutUnsure { line, of } => Words::new(
            "Conectou ou não?",
            format!(
                "{of} códigos foram mostrados, e o gateway não diz se {line} já está com o WhatsApp conectado. Espere um \
                 momento e mostre outro código: se deu certo, você vê aqui."
            ),
        )
        .button("Mostrar outro código"),
        Saying::Connected { line } => Words::new(
            "Conectada",
            format!("{line} está com o WhatsApp conectado. Não é preciso fazer mais nada."),
        ),
        Saying::NoCode { line } => Words::new(
            "Sem código",
            format!("O gateway não dá um código para {line} agora. Tente de novo, ou veja no painel do gateway."),
        )
        .button("Tentar de novo"),
        Saying::NoToken { line } => Words::new(
            "Sem código",
            format!(
                "Não dá mais para perguntar ao gateway sobre {line}: o token não está na configuração do linedown."
            ),
        ),
        Saying::AreYouOnIt { line, incident } => Words::new(
            "Você cuida disto?",
            format!(
                "É sobre {line}, incidente {incident}. Se você cuida, os lembretes e o escalonamento param, e os outros \
                 ficam sabendo."
            ),
        )
        .button("Deixa comigo"),
        Saying::Yours { line } => Words::new(
            "É com você",
            format!("{line}: os lembretes e o escalonamento param, e os outros ficam sabendo."),
        ),
        Saying::Taken { by } => Words::new("Já tem quem cuide", format!("{by} já cuida disto.")),
        Saying::Over { line } => Words::new(
            "Já passou",
            format!("{line}: o incidente deste link já passou. Não há nada a fazer."),
        ),
        Saying::OverAndAgain { line } => Words::new(
            "Há um mais novo",
            format!(
                "{line}: o incidente deste link já passou, mas um mais novo continua. Use o link da mensagem mais recente."
            ),
        ),
        Saying::Forgotten => Words::new("Não existe mais", "Este incidente não existe mais."),
    }
}
